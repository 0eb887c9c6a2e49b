"""Uploads: files that a job's sender has declared, so that missing ones are noticed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from models.base import now
from models.counts import kept_counts
from models.query import Page, batches, insert_new, read_page, update_rows
from models.tables.intake import Upload

MAX_A_JOB = 200_000

UploadState = Literal["missing", "arrived", "given_up"]


class NoUploadError(LookupError):
    pass


class TooManyUploadsError(ValueError):
    """One sentence for the user."""


@dataclass(frozen=True, order=True)
class Declared:
    """sha256: empty if the sender named none."""

    file: str
    size: int  # bytes
    sha256: str = ""


@dataclass(frozen=True)
class UploadCounts:
    """Of declared files. missing: neither arrived nor given up."""

    declared: int
    missing: int
    given_up: int


def declare(session: Session, *, job_id: str, files: Sequence[Declared]) -> list[Upload]:
    """In the order given. A file declared again keeps its row, and is expected if given up."""
    rows = [
        {"job_id": job_id, **vars(one), "received": 0, "created_at": now()}
        for one in sorted(set(files))  # in one order, or writers deadlock
    ]
    insert_new(session, Upload, rows)
    if uploads_of_jobs(session, [job_id])[job_id].declared > MAX_A_JOB:
        raise TooManyUploadsError(
            f"a job may declare {MAX_A_JOB} files at most: create another job for the others"
        )
    found = _find_declared(session, job_id, files)
    for upload in sorted(found.values(), key=lambda upload: upload.id):
        upload.given_up_at = None
    session.flush()
    return [found[one] for one in files]


def uploads_of_jobs(session: Session, job_ids: Sequence[str]) -> dict[str, UploadCounts]:
    counts = kept_counts(session, "uploads", scopes=job_ids)

    def count(job_id: str, *states: UploadState) -> int:
        return sum(counts.get((job_id, state), 0) for state in states)

    return {
        job_id: UploadCounts(
            declared=count(job_id, "missing", "arrived", "given_up"),
            missing=count(job_id, "missing"),
            given_up=count(job_id, "given_up"),
        )
        for job_id in job_ids
    }


def require_uploads(session: Session, *, job_id: str, upload_ids: Sequence[int]) -> list[Upload]:
    """In the order given. NoUploadError unless all are of this job."""
    rows = select(Upload).where(Upload.id.in_(upload_ids), Upload.job_id == job_id)
    found = {upload.id: upload for upload in session.scalars(rows)}
    try:
        return [found[upload_id] for upload_id in upload_ids]
    except KeyError:
        raise NoUploadError from None


def list_uploads(
    session: Session, job_id: str, *, state: UploadState | None, page: int, page_size: int
) -> Page[Upload]:
    """By declaration, then by name."""
    rows = select(Upload).where(Upload.job_id == job_id, *_STATES[state]).order_by(Upload.id)
    return read_page(session, rows, page=page, page_size=page_size)


def advance(session: Session, upload_id: int, *, before: int, received: int) -> bool:
    """Record the bytes stored so far. False if another request was faster, or it is not missing."""
    which = (Upload.id == upload_id, Upload.received == before, *MISSING)
    return update_rows(session, Upload, *which, received=received) == 1


def arrive(session: Session, *, job_id: str, files: Sequence[Declared]) -> None:
    """Mark files as arrived; undeclared ones are ignored."""
    wanted = set(files) | {Declared(one.file, one.size) for one in files}
    found = _find_declared(session, job_id, list(wanted))
    for upload in sorted(found.values(), key=lambda upload: upload.id):
        if upload.arrived_at is None:
            upload.received, upload.arrived_at, upload.given_up_at = upload.size, now(), None
    session.flush()


def give_up(session: Session, job_id: str) -> int:
    """Missing files are not expected any more; they stay on the job's list."""
    return update_rows(session, Upload, Upload.job_id == job_id, *MISSING, given_up_at=now())


def missing_uploads(session: Session, upload_ids: Sequence[int]) -> dict[int, Upload]:
    """Those that neither arrived nor were given up."""
    missing = select(Upload).where(Upload.id.in_(upload_ids), *MISSING)
    return {upload.id: upload for upload in session.scalars(missing)}


MISSING = (Upload.arrived_at.is_(None), Upload.given_up_at.is_(None))
_STATES: dict[UploadState | None, tuple[ColumnElement[bool], ...]] = {
    None: (),
    "missing": MISSING,
    "arrived": (Upload.arrived_at.is_not(None),),
    "given_up": (Upload.given_up_at.is_not(None),),
}


def _find_declared(
    session: Session, job_id: str, files: Sequence[Declared]
) -> dict[Declared, Upload]:
    wanted, found = set(files), {}
    for names in batches(sorted({one.file for one in files})):
        rows = select(Upload).where(Upload.job_id == job_id, Upload.file.in_(names))
        for upload in session.scalars(rows):
            declared = Declared(upload.file, upload.size, upload.sha256)
            if declared in wanted:
                found[declared] = upload
    return found
