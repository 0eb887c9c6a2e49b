"""Images: one file of one job each, and what becomes of it before the network sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, joinedload

from models.claims import Claim, still_held
from models.file_store import Stored
from models.inserts import insert_new
from models.tables import FINAL_STATES, Image, State, now

REASON_LENGTH = 500
DICOM = "application/dicom"


@dataclass(frozen=True)
class ReadImage:
    """What ingest found out about a file."""

    media_type: str
    stored_sha256: str
    rows: int
    columns: int
    tags: dict[str, Any]
    warnings: list[str]
    study_id: int
    sop_instance_uid: str | None = None


def get_image(session: Session, image_id: int) -> Image | None:
    return session.get(Image, image_id)


def add_image(session: Session, *, job_id: str, file: str, stored: Stored) -> Image:
    """The same file with the same bytes again is the row that is already there."""
    return _add(session, job_id=job_id, file=file, sha256=stored.sha256, size=stored.size)


def add_rejected(
    session: Session, *, job_id: str, file: str, sha256: str, size: int, reason: str
) -> Image:
    """What is refused on arrival, e.g. a file that is too large. reason: without its name."""
    refused = {"state": State.REJECTED, "reason": reason[:REASON_LENGTH], "finished_at": now()}
    return _add(session, job_id=job_id, file=file, sha256=sha256, size=size, **refused)


def known_files(session: Session, *, job_id: str, files: Sequence[tuple[str, str]]) -> list[int]:
    """Which of these (file, sha256) the job already has, by their index."""
    hashes = list({sha256 for _, sha256 in files})
    known: set[tuple[str, str]] = set()
    for start in range(0, len(hashes), 500):
        rows = select(Image.file, Image.sha256).where(
            Image.job_id == job_id, Image.sha256.in_(hashes[start : start + 500])
        )
        known.update((file, sha256) for file, sha256 in session.execute(rows))
    return [index for index, pair in enumerate(files) if tuple(pair) in known]


def find_twins(session: Session, sha256s: Sequence[str]) -> dict[str, Image]:
    """For bytes that came before: the image that tells what became of them.

    One that was read, where there is one; else one that was refused or failed.
    """
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


def awaited(session: Session, sha256s: Sequence[str]) -> set[str]:
    """Those whose uploaded bytes some image still waits to have read."""
    waiting = select(Image.sha256).where(Image.sha256.in_(sha256s), Image.state == State.RECEIVED)
    return set(session.scalars(waiting))


def without_sop_uid(session: Session, *, limit: int) -> dict[int, str]:
    """Images that came before their UID was kept: the hash of each one's stored DICOM file."""
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
    claim: Claim,
    *,
    read: dict[int, ReadImage],
    refused: dict[int, str],
    failed: dict[int, str],
) -> set[int]:
    """A chunk's outcomes by image id, written only where the claim stands; returns those ids."""
    held = still_held(session, claim)
    for image_id, found in read.items():
        if image_id in held:
            _finish(session, image_id, state=State.READY, attempts=0, **vars(found))
    outcomes = ((refused, State.REJECTED), (failed, State.FAILED))
    for reasons, state in outcomes:
        for image_id, reason in reasons.items():
            if image_id in held:
                _end(session, image_id, state, reason)
    return held


def record_failed(session: Session, claim: Claim, reasons: dict[int, str]) -> None:
    held = still_held(session, claim)
    for image_id, reason in reasons.items():
        if image_id in held:
            _end(session, image_id, State.FAILED, reason)


def _end(session: Session, image_id: int, state: State, reason: str) -> None:
    _finish(session, image_id, state=state, reason=reason[:REASON_LENGTH], finished_at=now())


def _finish(session: Session, image_id: int, **values: Any) -> None:
    session.execute(
        update(Image)
        .where(Image.id == image_id)
        .values(leased_by=None, leased_until=None, **values)
        .execution_options(synchronize_session=False)
    )


def _add(session: Session, *, job_id: str, file: str, sha256: str, **values: Any) -> Image:
    key = {"job_id": job_id, "file": file, "sha256": sha256}
    row = {"state": State.RECEIVED, "attempts": 0, "created_at": now(), **key, **values}
    insert_new(session, Image, [row])
    return session.scalars(select(Image).filter_by(**key)).one()
