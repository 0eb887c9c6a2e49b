"""Dataset snapshots: which images, labels and splits a training saw. Frozen once written.

The digest is the SHA-256 of the snapshot's lines, which are those of the CSV that the portal hands
out: who has the file can check the digest.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, func, insert, or_, select
from sqlalchemy.orm import Session

from models.base import now
from models.learning.labels import effective
from models.query import Page, insert_new
from models.tables.intake import Image
from models.tables.learning import DatasetSnapshot, ImportedImage, LabelValue, Night, SnapshotImage
from pipeline.types import Split

SITE = "site"  # the origin of what was uploaded here
LEARNABLE = (LabelValue.PNEUMONIA, LabelValue.NORMAL)
COLUMNS = ("sha256", "label", "split", "origin", "patient_hash", "label_id")
LEFT_OUT = "left_out_label_ids"  # in a report: labels that were seen and are not in it


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
class Place:
    """Where an image was in an earlier snapshot. is_learned: a network was trained on that one."""

    split: Split
    origin: str
    patient_hash: str
    is_learned: bool


def freeze(
    session: Session, members: Sequence[Member], *, report: dict[str, Any]
) -> DatasetSnapshot:
    """Equal members are the snapshot that is there already; its report becomes the latest."""
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
    digest = hashlib.sha256()
    for line in snapshot_lines(sorted(members, key=lambda member: member.sha256)):
        digest.update(line.encode())
    return digest.hexdigest()


def snapshot_lines(members: Iterable[Member | SnapshotImage]) -> Iterator[str]:
    """CSV with its header. No cell can hold a separator, a quote, or the sign of a formula."""
    yield ",".join(COLUMNS) + "\n"
    for one in members:
        cells = (one.sha256, one.label.value, one.split.value, one.origin, one.patient_hash)
        yield ",".join((*cells, str(one.label_id))) + "\n"


def get_snapshot(session: Session, snapshot_id: int) -> DatasetSnapshot | None:
    return session.get(DatasetSnapshot, snapshot_id)


def list_snapshots(
    session: Session, *, page: int = 1, page_size: int = 50
) -> Page[DatasetSnapshot]:
    newest = select(DatasetSnapshot).order_by(DatasetSnapshot.id.desc())
    rows = session.scalars(newest.limit(page_size).offset((page - 1) * page_size)).all()
    total = session.scalar(select(func.count()).select_from(DatasetSnapshot)) or 0
    return Page(list(rows), page, page_size, total)


def snapshot_images(
    session: Session, snapshot_id: int, *, split: Split | None = None, origin: str | None = None
) -> list[SnapshotImage]:
    """Sorted by content; all, or those of one split or origin."""
    rows = select(SnapshotImage).where(SnapshotImage.snapshot_id == snapshot_id)
    if split is not None:
        rows = rows.where(SnapshotImage.split == split)
    if origin is not None:
        rows = rows.where(SnapshotImage.origin == origin)
    return list(session.scalars(rows.order_by(SnapshotImage.sha256)))


def earlier_places(session: Session) -> dict[str, Place]:
    """Of every image that was in a snapshot that a network learned from, or in any test split."""
    learned = select(Night.snapshot_id).where(Night.candidate_id.is_not(None))
    is_learned = SnapshotImage.snapshot_id.in_(learned)
    columns = (SnapshotImage.split, SnapshotImage.origin, SnapshotImage.patient_hash)
    rows = (
        select(SnapshotImage.sha256, *columns, is_learned.label("is_learned"))
        .where(or_(is_learned, SnapshotImage.split == Split.TEST))
        .distinct()
    )
    # The last one counts: learned goes before not learned, test before the others.
    found = sorted(session.execute(rows), key=lambda row: (row.is_learned, row.split.rank))
    return {
        row.sha256: Place(row.split, row.origin, row.patient_hash, row.is_learned) for row in found
    }


def last_trained_snapshot(session: Session) -> DatasetSnapshot | None:
    """The one that the newest candidate learned from."""
    trained = (
        select(DatasetSnapshot)
        .join(Night, Night.snapshot_id == DatasetSnapshot.id)
        .where(Night.candidate_id.is_not(None))
        .order_by(Night.id.desc())
        .limit(1)
    )
    return session.scalar(trained)


def new_label_count(session: Session) -> int:
    """Site images whose label the last training has not seen."""
    counted = effective().subquery("counted")
    is_of_site = exists().where(Image.sha256 == counted.c.sha256, Image.stored_sha256.is_not(None))
    is_imported = exists().where(ImportedImage.sha256 == counted.c.sha256)
    new = select(counted.c.label_id).where(counted.c.value.in_(LEARNABLE), is_of_site, ~is_imported)
    last = last_trained_snapshot(session)
    if last is None:
        return len(session.scalars(new).all())
    seen = select(SnapshotImage.label_id).where(SnapshotImage.snapshot_id == last.id)
    unseen = session.scalars(new.where(counted.c.label_id.not_in(seen))).all()
    return len(set(unseen) - set(last.report.get(LEFT_OUT, ())))
