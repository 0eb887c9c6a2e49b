"""Lists and counts of labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, Subquery, case, func, select
from sqlalchemy.orm import Session

from models.intake.study_links import StudyLink, find_study_links
from models.learning.labels import EffectiveLabel, effective, latest_labels
from models.learning.snapshots import SITE
from models.query import Page, count_rows
from models.tables.learning import ImportedDataset, ImportedImage, Label, LabelValue, Source


@dataclass(frozen=True)
class ListedLabel:
    """said: each reader's latest label, the effective one first. link: None if only imported."""

    label: EffectiveLabel
    said: list[Label]
    link: StudyLink | None


@dataclass(frozen=True)
class OriginCounts:
    """Images by their effective label."""

    origin: str
    pneumonia: int
    normal: int
    unusable: int


@dataclass(frozen=True)
class ReaderCounts:
    """labels: number of all labels of this reader."""

    reader: str
    labels: int
    last_read_at: datetime


@dataclass(frozen=True)
class LabelCounts:
    """today, this_week: labels added since, without those of imported data sets."""

    origins: list[OriginCounts]
    conflicts: int
    today: int
    this_week: int
    readers: list[ReaderCounts]


def list_labels(
    session: Session, *, only_conflicts: bool = False, page: int = 1, page_size: int = 100
) -> Page[ListedLabel]:
    """One entry for each blob, the latest added first."""
    labels = effective().subquery()
    chosen = [labels.c.is_conflict] if only_conflicts else []
    # Counted in the same query, since finding the effective labels is most of its cost.
    newest = select(labels, func.count().over()).where(*chosen).order_by(labels.c.label_id.desc())
    rows = session.execute(newest.limit(page_size).offset((page - 1) * page_size)).all()
    found = [EffectiveLabel(*row[:-1]) for row in rows]
    hashes = [label.sha256 for label in found]
    said, links = latest_labels(session, hashes), find_study_links(session, hashes)
    items = [ListedLabel(one, said[one.sha256], links.get(one.sha256)) for one in found]
    return Page(items, page, page_size, total=rows[0][-1] if rows else 0)


def label_counts(session: Session, *, today: datetime, this_week: datetime) -> LabelCounts:
    """today, this_week: when they start."""
    rows = _count_blobs(session)
    by_origin: dict[str, dict[LabelValue, int]] = {SITE: {}}
    for origin, value, count, _ in rows:
        by_origin.setdefault(origin, {})[value] = count
    return LabelCounts(
        origins=[
            OriginCounts(origin, **{value: counts.get(value, 0) for value in LabelValue})
            for origin, counts in by_origin.items()
        ],
        conflicts=sum(conflicts for _, _, _, conflicts in rows),
        today=_count_since(session, today),
        this_week=_count_since(session, this_week),
        readers=_readers(session),
    )


def _count_blobs(session: Session) -> Sequence[Row[str, LabelValue, int, int]]:
    labels, sets = effective().subquery(), _imported_sets()
    origin = func.coalesce(sets.c.name, SITE)
    conflicts = func.sum(case((labels.c.is_conflict, 1), else_=0))
    counts = select(origin, labels.c.value, func.count(), conflicts)
    counts = counts.outerjoin(sets, sets.c.sha256 == labels.c.sha256)
    return session.execute(counts.group_by(origin, labels.c.value).order_by(origin)).all()


def _imported_sets() -> Subquery:
    """By SHA-256, the first data set that has it."""
    first = func.min(ImportedImage.dataset_id).label("id")
    firsts = select(ImportedImage.sha256, first).group_by(ImportedImage.sha256).subquery("firsts")
    named = select(firsts.c.sha256, ImportedDataset.name)
    return named.join(ImportedDataset, ImportedDataset.id == firsts.c.id).subquery("sets")


def _count_since(session: Session, moment: datetime) -> int:
    return count_rows(session, Label, Label.created_at >= moment, Label.source != Source.DATASET)


def _readers(session: Session) -> list[ReaderCounts]:
    count = func.count().label("count")
    rows = select(Label.reader, count, func.max(Label.read_at)).group_by(Label.reader)
    busiest = rows.where(Label.source != Source.DATASET).order_by(count.desc(), Label.reader)
    return [ReaderCounts(*row) for row in session.execute(busiest)]
