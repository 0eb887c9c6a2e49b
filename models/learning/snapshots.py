"""Dataset snapshots: the images, labels and splits of a training. Frozen once written.

The digest is the SHA-256 of the snapshot's CSV as the portal serves it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, insert, or_, select
from sqlalchemy.orm import Session, joinedload

from models.base import now
from models.intake.study_links import StudyLink, find_study_links
from models.query import Page, batches, count_rows, insert_new, read_page, read_row_page
from models.tables.intake import Image, State
from models.tables.learning import (
    DatasetSnapshot,
    Label,
    LabelValue,
    Night,
    SnapshotImage,
    ValidLabel,
)
from pipeline.types import Split

SITE = "site"  # the origin of uploaded images
LEARNABLE = (LabelValue.PNEUMONIA, LabelValue.NORMAL)
COLUMNS = ("sha256", "label", "split", "origin", "patient_hash", "label_id")
# In a report: labels that were seen but not included; those of files that were not read here yet;
# and the last label of all, valid or not. Snapshots of earlier releases have only the first.
LEFT_OUT = "left_out_label_ids"
NO_FILE = "no_file_label_ids"
LAST_LABEL = "last_label_id"


@dataclass(frozen=True)
class Member:
    """One image of a snapshot, before or after it is frozen."""

    sha256: str
    label: LabelValue
    split: Split
    origin: str  # SITE, or the imported set's name
    patient_hash: str
    label_id: int


@dataclass(frozen=True)
class PastMember:
    """An image in an earlier snapshot. is_trained: a network was trained on that snapshot."""

    split: Split
    origin: str
    patient_hash: str
    is_trained: bool


@dataclass(frozen=True)
class ListedImage:
    """label: the row that was valid then. link: None if the image was imported."""

    image: SnapshotImage
    label: Label
    link: StudyLink | None


def freeze(
    session: Session, members: Sequence[Member], *, report: dict[str, Any]
) -> DatasetSnapshot:
    """Return the snapshot of these members, new or not; its report is replaced."""
    digest = snapshot_digest(members)
    row = {"digest": digest, "report": report, "created_at": now()}
    insert_new(session, DatasetSnapshot, [row])
    snapshot = session.scalars(select(DatasetSnapshot).filter_by(digest=digest)).one()
    snapshot.report = report
    is_filled = select(exists().where(SnapshotImage.snapshot_id == snapshot.id))
    if members and not session.scalar(is_filled):
        rows = [{"snapshot_id": snapshot.id, **vars(member)} for member in members]
        session.execute(insert(SnapshotImage), rows)
    session.flush()
    return snapshot


def snapshot_digest(members: Iterable[Member]) -> str:
    lines = snapshot_lines(sorted(members, key=lambda member: member.sha256))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def snapshot_lines(members: Iterable[Member | SnapshotImage]) -> Iterator[str]:
    """CSV with its header. No cell can hold a separator, a quote or a formula."""
    yield ",".join(COLUMNS) + "\n"
    for one in members:
        cells = (one.sha256, one.label.value, one.split.value, one.origin, one.patient_hash)
        yield ",".join((*cells, str(one.label_id))) + "\n"


def list_snapshots(session: Session, *, page: int, page_size: int) -> Page[DatasetSnapshot]:
    newest = select(DatasetSnapshot).order_by(DatasetSnapshot.id.desc())
    return read_page(session, newest, page=page, page_size=page_size)


def snapshot_images(
    session: Session, snapshot_id: int, *, split: Split | None = None
) -> list[SnapshotImage]:
    """Sorted by SHA-256; all, or those of one split."""
    rows = select(SnapshotImage).where(SnapshotImage.snapshot_id == snapshot_id)
    if split is not None:
        rows = rows.where(SnapshotImage.split == split)
    return list(session.scalars(rows.order_by(SnapshotImage.sha256)))


def tags_of_images(session: Session, sha256s: Sequence[str]) -> dict[str, dict[str, str]]:
    """By SHA-256, the DICOM tags that are kept; nothing of images that were not read here."""
    found: dict[str, dict[str, str]] = {}
    for some in batches(sorted(set(sha256s))):
        rows = select(Image.sha256, Image.tags).where(Image.sha256.in_(some))
        found.update((sha256, tags) for sha256, tags in session.execute(rows) if tags)
    return found


def list_snapshot_images(
    session: Session,
    snapshot_id: int,
    *,
    split: Split | None = None,
    origin: str | None = None,
    page: int = 1,
    page_size: int = 50,
) -> Page[ListedImage]:
    """Images of the site first: only they can be viewed."""
    chosen = [SnapshotImage.snapshot_id == snapshot_id]
    if split is not None:
        chosen.append(SnapshotImage.split == split)
    if origin is not None:
        chosen.append(SnapshotImage.origin == origin)
    total = count_rows(session, SnapshotImage, *chosen)
    rows = (
        select(SnapshotImage, Label)
        .join(Label, Label.id == SnapshotImage.label_id)
        .options(joinedload(Label.user))
        .where(*chosen)
        .order_by(SnapshotImage.origin != SITE, SnapshotImage.sha256)
    )
    found = read_row_page(session, rows, page=page, page_size=page_size, total=total)
    links = find_study_links(session, [image.sha256 for image, _ in found.items])
    return found.of(
        [ListedImage(image, label, links.get(image.sha256)) for image, label in found.items]
    )


def nights_of_snapshot(session: Session, snapshot_id: int) -> list[Night]:
    """The newest first."""
    rows = select(Night).where(Night.snapshot_id == snapshot_id).order_by(Night.id.desc())
    return list(session.scalars(rows.options(joinedload(Night.candidate))))


def past_members(session: Session) -> dict[str, PastMember]:
    """By SHA-256, images of snapshots that a network was trained on, and of any test split."""
    trained = select(Night.snapshot_id).where(Night.candidate_id.is_not(None))
    is_trained = SnapshotImage.snapshot_id.in_(trained)
    columns = (SnapshotImage.split, SnapshotImage.origin, SnapshotImage.patient_hash)
    rows = (
        select(SnapshotImage.sha256, *columns, is_trained.label("is_trained"))
        .where(or_(is_trained, SnapshotImage.split == Split.TEST))
        .distinct()
    )
    # The last one counts: trained before not trained, test before the other splits.
    found = sorted(session.execute(rows), key=lambda row: (row.is_trained, row.split.rank))
    return {
        row.sha256: PastMember(row.split, row.origin, row.patient_hash, row.is_trained)
        for row in found
    }


def last_trained_snapshot(session: Session) -> DatasetSnapshot | None:
    """The snapshot that the newest candidate was trained on."""
    trained = (
        select(DatasetSnapshot)
        .join(Night, Night.snapshot_id == DatasetSnapshot.id)
        .where(Night.candidate_id.is_not(None))
        .order_by(Night.id.desc())
        .limit(1)
    )
    return session.scalar(trained)


def new_label_count(session: Session, *, at_most: int | None = None) -> int:
    """Count the site images with a label that the last training did not use.

    at_most: where to stop, since before the first training every label is new.
    """
    last = last_trained_snapshot(session)
    if last is None:
        labels = select(ValidLabel.label_id).where(*_IS_LEARNABLE).limit(at_most)
        return session.scalar(select(func.count()).select_from(labels.subquery())) or 0
    # The other labels are as the snapshot saw them, and those it has all seen.
    since = select(Label.sha256).where(Label.id > last.report.get(LAST_LABEL, 0))
    without_file = [ValidLabel.label_id.in_(ids) for ids in batches(last.report.get(NO_FILE, ()))]
    is_member = exists().where(
        SnapshotImage.snapshot_id == last.id,
        SnapshotImage.sha256 == ValidLabel.sha256,
        SnapshotImage.label_id == ValidLabel.label_id,
    )
    left_out = last.report.get(LEFT_OUT, ())
    enough = None if at_most is None else at_most + len(left_out)
    new: set[int] = set()
    for may_be_new in (ValidLabel.sha256.in_(since), *without_file):
        which = (may_be_new, *_IS_LEARNABLE, ~is_member)
        new.update(session.scalars(select(ValidLabel.label_id).where(*which).limit(enough)))
    n = len(new.difference(left_out))
    return n if at_most is None else min(n, at_most)


def _has_image(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(Image.sha256 == ValidLabel.sha256, *which)


# Of a valid label: its file was read here. Most are predicted, which an index answers by itself.
_IS_LEARNABLE = (
    ValidLabel.value.in_(LEARNABLE),
    ValidLabel.dataset_id.is_(None),
    or_(_has_image(Image.state == State.PREDICTED), _has_image(Image.stored_sha256.is_not(None))),
)
