"""Lists and counts of labels."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from models.counts import count_by_value, kept_counts
from models.intake.study_links import StudyLink, find_study_links
from models.learning.labels import latest_labels
from models.learning.snapshots import SITE
from models.query import Page
from models.tables.learning import ImportedDataset, Label, LabelValue, Source, ValidLabel

CONFLICT = ":conflict"  # end of a kept count's value
# Not `!= Source.DATASET`, for which no index is used.
_READERS_OWN = Label.source.in_([one for one in Source if one != Source.DATASET])


@dataclass(frozen=True)
class ListedLabel:
    """said: each reader's latest label, the valid one first. link: None if only imported."""

    label: ValidLabel
    said: list[Label]
    link: StudyLink | None


@dataclass(frozen=True)
class LabelPage(Page[ListedLabel]):
    has_more: bool

    @property
    def next_after(self) -> int | None:
        return self.items[-1].label.label_id if self.has_more else None


@dataclass(frozen=True)
class OriginCounts:
    """Images by their valid label."""

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
    session: Session,
    *,
    only_conflicts: bool = False,
    after: int | None = None,
    page: int = 1,
    page_size: int = 100,
) -> LabelPage:
    """One entry for each blob, the latest added first: after a label, else a page by its number."""
    newest = select(ValidLabel).order_by(ValidLabel.label_id.desc()).limit(page_size + 1)
    if only_conflicts:
        newest = newest.where(ValidLabel.is_conflict.is_(True))
    if after is not None:
        newest = newest.where(ValidLabel.label_id < after)
    rows = session.scalars(newest.offset((page - 1) * page_size)).all()
    found = rows[:page_size]
    hashes = [label.sha256 for label in found]
    said, links = latest_labels(session, hashes), find_study_links(session, hashes)
    items = [ListedLabel(one, said[one.sha256], links.get(one.sha256)) for one in found]
    counts = count_by_value(session, "labels")
    total = sum(n for value, n in counts.items() if CONFLICT in value or not only_conflicts)
    return LabelPage(items, page, page_size, total, has_more=len(rows) > page_size)


def label_counts(session: Session, *, today: datetime, this_week: datetime) -> LabelCounts:
    """today, this_week: when they start."""
    names = dict(session.execute(select(ImportedDataset.id, ImportedDataset.name)).all())
    by_origin: dict[str, Counter[str]] = {SITE: Counter()}
    conflicts = 0
    for (dataset_id, value), n in sorted(kept_counts(session, "labels").items()):
        origin = names[int(dataset_id)] if dataset_id else SITE
        by_origin.setdefault(origin, Counter())[value.removesuffix(CONFLICT)] += n
        conflicts += n if value.endswith(CONFLICT) else 0
    origins = [SITE, *sorted(set(by_origin) - {SITE})]
    return LabelCounts(
        origins=[
            OriginCounts(one, **{value: by_origin[one][value] for value in LabelValue})
            for one in origins
        ],
        conflicts=conflicts,
        today=_count_since(session, today),
        this_week=_count_since(session, this_week),
        readers=_readers(session),
    )


def _count_since(session: Session, moment: datetime) -> int:
    # As a condition SQLite would use an index on it, and read all labels, rather than that on time.
    counted = select(func.count().filter(_READERS_OWN)).where(Label.created_at >= moment)
    return session.scalar(counted) or 0


def _readers(session: Session) -> list[ReaderCounts]:
    # By source as well, as an index has them: else SQLite would sort all labels.
    other = aliased(Label)
    same = other.source == Label.source, other.reader == Label.reader
    last = select(func.max(other.read_at)).where(*same).scalar_subquery()
    rows = select(Label.reader, func.count(), last).group_by(Label.source, Label.reader)
    counts: Counter[str] = Counter()
    last_read_at: dict[str, datetime] = {}
    for reader, n, moment in session.execute(rows.where(_READERS_OWN)):
        counts[reader] += n
        last_read_at[reader] = max(moment, last_read_at.get(reader, moment))
    busiest = sorted(counts, key=lambda reader: (-counts[reader], reader))
    return [ReaderCounts(reader, counts[reader], last_read_at[reader]) for reader in busiest]
