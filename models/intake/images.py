"""Images: one file of one job each, from its upload to its prediction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session, joinedload

from models.base import now
from models.intake.claims import Claim, still_held
from models.lease import NO_LEASE
from models.query import batches, insert_new, update_rows
from models.tables.intake import FINAL_STATES, UNFINISHED_STATES, WAITING_STATES, Image, State
from pipeline.errors import Reason

REASON_LENGTH = 500
DICOM = "application/dicom"
CANCELLED = "the job was cancelled before this file was read"


@dataclass(frozen=True)
class ReadImage:
    """What ingest found in a file; images of equal bytes share it.

    study_hash: None for files that name no study; they are grouped by folder. range_rule and
    pixel_aspect: None of images read by earlier releases.
    """

    media_type: str
    stored_sha256: str
    rows: int
    columns: int
    range_rule: str | None
    pixel_aspect: float | None
    tags: dict[str, Any]
    warnings: list[str]
    sop_instance_uid: str | None
    study_hash: str | None
    patient_hash: str | None

    @classmethod
    def of_row(cls, image: Image) -> Self | None:
        """None where the image was never read. Expects its study to be loaded."""
        if image.stored_sha256 is None:
            return None
        study = image.study if image.study and image.study.folder is None else None
        return cls(
            media_type=image.media_type or "",
            stored_sha256=image.stored_sha256,
            rows=image.rows or 0,
            columns=image.columns or 0,
            range_rule=image.range_rule,
            pixel_aspect=image.pixel_aspect,
            tags=image.tags or {},
            warnings=image.warnings or [],
            sop_instance_uid=image.sop_instance_uid,
            study_hash=study.study_hash if study else None,
            patient_hash=study.patient_hash if study else None,
        )

    def as_columns(self) -> dict[str, Any]:
        """Those of the image's own row."""
        of_study = ("study_hash", "patient_hash")
        return {name: value for name, value in vars(self).items() if name not in of_study}


@dataclass(frozen=True)
class NewImage:
    """An uploaded file. refused: why its bytes were not kept."""

    file: str
    sha256: str
    size: int  # bytes
    refused: Reason | None = None


def add_images(session: Session, *, job_id: str, new: Sequence[NewImage]) -> list[Image]:
    """In the order given. The same file with the same bytes is the row that is already there."""
    in_one_order = sorted(new, key=_file_and_hash)  # or writers deadlock
    insert_new(session, Image, [_row(job_id, one) for one in in_one_order])
    found: dict[tuple[str, str], Image] = {}
    for names in batches(sorted({one.file for one in new})):
        images = select(Image).where(Image.job_id == job_id, Image.file.in_(names))
        found |= {(image.file, image.sha256): image for image in session.scalars(images)}
    return [found[_file_and_hash(one)] for one in new]


def find_known_images(session: Session, sha256s: Sequence[str]) -> dict[str, Image]:
    """By hash, for bytes that came before: an image that was read, else one that has ended."""
    known = (
        select(Image)
        .where(
            Image.sha256.in_(sha256s),
            or_(Image.stored_sha256.is_not(None), Image.state.in_(FINAL_STATES)),
        )
        .options(joinedload(Image.study))
        .order_by(Image.stored_sha256.is_not(None))  # the later wins below
    )
    return {image.sha256: image for image in session.scalars(known)}


def tags_of(session: Session, sha256s: Sequence[str]) -> dict[str, dict[str, str]]:
    """The kept attributes by hash, of bytes that have any."""
    found: dict[str, dict[str, str]] = {}
    for some in batches(sha256s):
        known = select(Image.sha256, Image.tags).where(
            Image.sha256.in_(some), Image.stored_sha256.is_not(None)
        )
        found |= {sha256: tags for sha256, tags in session.execute(known) if tags}
    return found


def wanted_uploads(
    session: Session, sha256s: Sequence[str], *, ended_after: datetime | None = None
) -> set[str]:
    """Those whose uploaded bytes an image still needs, see `wants_upload`."""
    wanted = select(Image.sha256).where(wants_upload(ended_after=ended_after))
    return set(session.scalars(wanted.where(Image.sha256.in_(sha256s))))


def wants_upload(*, ended_after: datetime | None = None) -> ColumnElement[bool]:
    """An image needs its upload while it waits to be read, or ended unread and may be retried.

    ended_after: no longer for images that ended before.
    """
    unread = and_(Image.state.in_(UNFINISHED_STATES), Image.stored_sha256.is_(None))
    if ended_after is not None:
        unread = and_(unread, Image.finished_at > ended_after)
    return or_(Image.state == State.RECEIVED, unread)


def lock_images_of(session: Session, sha256s: Sequence[str]) -> list[str]:
    """Those that some image has; the images are locked until the transaction ends."""
    held = select(Image.sha256).where(Image.sha256.in_(sha256s)).order_by(Image.sha256, Image.id)
    return list(dict.fromkeys(session.scalars(held.with_for_update(read=True))))


def cancel_waiting(session: Session, job_id: str, *, limit: int) -> int:
    """Their workers lose the claims. Returns how many.

    Skips rows that a worker is writing at this moment: workers lock rows in other orders.
    """
    waiting = (
        select(Image.id)
        .where(Image.job_id == job_id, Image.state.in_(WAITING_STATES))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("waiting")
    )
    which = Image.id.in_(select(waiting.c.id))
    end = {"state": State.CANCELLED, "reason": CANCELLED, "finished_at": now()}
    return update_rows(session, Image, which, **end, **NO_LEASE)


def has_waiting_images(session: Session, job_id: str) -> bool:
    waiting = select(Image.id).where(Image.job_id == job_id, Image.state.in_(WAITING_STATES))
    return session.scalar(waiting.limit(1)) is not None


def without_sop_uid(session: Session, *, limit: int) -> dict[int, str]:
    """Images of releases that kept no UID, and the hash of each one's stored DICOM file."""
    images = select(Image.id, Image.stored_sha256).where(
        Image.media_type == DICOM,
        Image.stored_sha256.is_not(None),
        Image.sop_instance_uid.is_(None),
    )
    rows = session.execute(images.order_by(Image.id).limit(limit))
    return {image_id: stored for image_id, stored in rows if stored is not None}


def set_sop_uids(session: Session, uids: dict[int, str]) -> None:
    rows = [{"id": image_id, "sop_instance_uid": uid} for image_id, uid in uids.items()]
    session.execute(update(Image), rows)


def record_read(
    session: Session,
    held: Collection[int],
    *,
    read: dict[int, tuple[ReadImage, int]],
    refused: dict[int, Reason],
    failed: dict[int, Reason],
) -> None:
    """Record a chunk by image id, only those that are still held.

    read: with the id of each image's study.
    """
    ready = {"state": State.READY, "attempts": 0}
    columns = {
        image_id: found.as_columns() | ready | {"study_id": study_id}
        for image_id, (found, study_id) in read.items()
    }
    _finish(session, held, columns)
    for reasons, state in ((refused, State.REJECTED), (failed, State.FAILED)):
        ending = {"state": state, "finished_at": now()}
        columns = {image_id: ending | _columns(reason) for image_id, reason in reasons.items()}
        _finish(session, held, columns)


def record_failed(session: Session, claim: Claim, reasons: dict[int, Reason]) -> None:
    held = still_held(session, claim)
    record_read(session, held, read={}, refused={}, failed=reasons)


def send_back(session: Session, claim: Claim, image_ids: Sequence[int]) -> None:
    """Ready images whose network input is lost become received, to have it made again."""
    back = {"state": State.RECEIVED, "attempts": 0}
    _finish(session, still_held(session, claim), dict.fromkeys(image_ids, back))


def _finish(session: Session, held: Collection[int], columns: Mapping[int, dict[str, Any]]) -> None:
    """Write the columns of those images that are held."""
    rows = [{"id": one, **columns[one], **NO_LEASE} for one in sorted(columns.keys() & held)]
    if rows:
        session.execute(update(Image), rows)


def _row(job_id: str, new: NewImage) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "file": new.file,
        "sha256": new.sha256,
        "size": new.size,
        "state": State.REJECTED if new.refused else State.RECEIVED,
        **_columns(new.refused),
        "finished_at": now() if new.refused else None,
        "attempts": 0,
        "created_at": now(),
    }


def _columns(reason: Reason | None) -> dict[str, Any]:
    if reason is None:
        return {"reason": None, "reason_code": None}
    return {"reason": reason.clause[:REASON_LENGTH], "reason_code": reason.code}


def _file_and_hash(new: NewImage) -> tuple[str, str]:
    return new.file, new.sha256
