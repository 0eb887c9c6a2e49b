"""Jobs: one bulk upload each. Their progress is in the counts of their images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from models.base import now
from models.counts import images_of_jobs
from models.intake.images import cancel_waiting, has_waiting_images
from models.intake.uploads import MISSING, UploadCounts, give_up, uploads_of_jobs
from models.query import Page, insert_new, read_page
from models.tables.intake import FINAL_STATES, WAITING_STATES, Image, Job, State, Upload

RATE_WINDOW_S = 30.0


class JobStateError(Exception):
    """The job's state does not allow it; one sentence for the user."""


class NoJobError(Exception):
    pass


@dataclass(frozen=True)
class JobProgress:
    """A job, its images by state, and its missing uploads.

    finished: closed or cancelled, every image in a final state, no upload missing.
    """

    id: str
    name: str
    created_at: datetime
    closed_at: datetime | None
    finished: bool
    received: int
    ready: int
    predicted: int
    rejected: int
    failed: int
    total: int
    images_per_second: float | None  # recently; of the whole job once it is finished
    seconds_left: float | None  # None while unknown
    cancelled: int
    cancelled_at: datetime | None
    declared: int
    missing: int
    given_up: int


def create_job(session: Session, *, name: str, user_id: int, key: str) -> tuple[str, bool]:
    """The id of the job with this user's key, and whether it was created now."""
    job_id = uuid4().hex
    row = {"id": job_id, "name": name, "user_id": user_id, "key": key, "created_at": now()}
    insert_new(session, Job, [row])
    made = session.scalars(select(Job.id).where(Job.user_id == user_id, Job.key == key)).one()
    return made, made == job_id


def require_job(session: Session, job_id: str) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise NoJobError
    return job


def require_open(session: Session, job_id: str) -> None:
    """Nobody can close or cancel the job until this transaction ends."""
    job = _lock(session, job_id, shared=True)
    if job.cancelled_at is not None:
        raise JobStateError("this job was cancelled: it accepts no more files")
    if job.closed_at is not None:
        raise JobStateError("this job is closed: create a new one for more files")


def close_job(session: Session, job_id: str, *, give_up_missing: bool = False) -> bool:
    """All was sent. JobStateError while declared files are missing, unless they are given up.

    Returns whether it was open until now.
    """
    job = _lock(session, job_id)
    uploads = uploads_of_jobs(session, [job_id])[job_id]
    if uploads.missing and not give_up_missing:
        have = "has" if uploads.missing == 1 else "have"
        raise JobStateError(
            f"{uploads.missing} of {uploads.declared} declared files {have} not arrived"
        )
    give_up(session, job_id)
    was_open = job.closed_at is None
    job.closed_at = job.closed_at or now()
    return was_open


def cancel_job(session: Session, job_id: str) -> bool:
    """Accept no more files; waiting images are cancelled afterwards by `cancel_some`.

    False if it was cancelled before. JobStateError if it has finished.
    """
    job = _lock(session, job_id)
    if job.cancelled_at is not None:
        return False
    if job.closed_at is not None and not has_waiting_images(session, job_id):
        raise JobStateError("this job has finished: nothing is left to cancel")
    job.cancelled_at = now()
    give_up(session, job_id)
    return True


def cancel_some(session: Session, job_id: str, *, limit: int = 2000) -> bool:
    """Cancel some waiting images of a cancelled job; returns whether others still wait.

    A few thousand at a time, so that other writers do not wait long.
    """
    if _lock(session, job_id, shared=True).cancelled_at is None:
        return False  # retried in between
    cancel_waiting(session, job_id, limit=limit)
    return has_waiting_images(session, job_id)


def half_cancelled_jobs(session: Session) -> list[str]:
    """Cancelled jobs that still have waiting images."""
    waiting = exists().where(Image.job_id == Job.id, Image.state.in_(WAITING_STATES))
    return list(session.scalars(select(Job.id).where(Job.cancelled_at.is_not(None), waiting)))


def lift_cancellation(session: Session, job_id: str) -> None:
    _lock(session, job_id).cancelled_at = None


def require_not_cancelled(session: Session, job_id: str) -> None:
    """Nobody can cancel the job until this transaction ends."""
    if _lock(session, job_id, shared=True).cancelled_at is not None:
        raise JobStateError("this job has been cancelled")


def job_progress(session: Session, job_id: str) -> JobProgress:
    """Raises NoJobError."""
    return _progress(session, [require_job(session, job_id)])[0]


def is_finished(session: Session, job_id: str) -> bool:
    """As in `JobProgress`, without counting; a job that is not there is not finished."""
    waits = exists().where(Image.job_id == Job.id, Image.state.in_(WAITING_STATES))
    misses = exists().where(Upload.job_id == Job.id, *MISSING)
    takes_no_more = Job.closed_at.is_not(None) | Job.cancelled_at.is_not(None)
    finished = select(Job.id).where(Job.id == job_id, takes_no_more, ~waits, ~misses)
    return session.scalar(finished) is not None


def list_jobs(session: Session, *, page: int = 1, page_size: int = 50) -> Page[JobProgress]:
    newest = select(Job).order_by(Job.created_at.desc(), Job.id)
    jobs = read_page(session, newest, page=page, page_size=page_size)
    return jobs.of(_progress(session, jobs.items))


def _progress(session: Session, jobs: Sequence[Job]) -> list[JobProgress]:
    ids = [job.id for job in jobs]
    counts = images_of_jobs(session, ids)
    since = now() - timedelta(seconds=RATE_WINDOW_S)
    recent = _count_finished(session, ids, since)
    last = _last_finished(session, ids)
    uploads = uploads_of_jobs(session, ids)
    return [
        _describe(
            job,
            counts[job.id],
            uploads[job.id],
            recent.get(job.id, 0),
            last.get(job.id),
        )
        for job in jobs
    ]


def _describe(
    job: Job, counts: Counter[State], uploads: UploadCounts, recent: int, last: datetime | None
) -> JobProgress:
    total = sum(counts.values())
    waiting = total - sum(counts[state] for state in FINAL_STATES)
    takes_no_more = job.closed_at is not None or job.cancelled_at is not None
    finished = takes_no_more and waiting == 0 and uploads.missing == 0
    rate = _overall_rate(job, total, last) if finished else _recent_rate(job, recent)
    return JobProgress(
        id=job.id,
        name=job.name,
        created_at=job.created_at,
        closed_at=job.closed_at,
        finished=finished,
        cancelled_at=job.cancelled_at,
        **{state.value: counts[state] for state in State},
        **vars(uploads),
        total=total,
        images_per_second=rate,
        seconds_left=0.0 if finished else waiting / rate if rate else None,
    )


def _recent_rate(job: Job, recent: int) -> float | None:
    age_s = (now() - job.created_at).total_seconds()
    return recent / min(RATE_WINDOW_S, age_s) if recent and age_s > 0 else None


def _overall_rate(job: Job, total: int, last: datetime | None) -> float | None:
    took_s = (last - job.created_at).total_seconds() if last is not None else 0.0
    return total / took_s if took_s > 0 else None


def _count_finished(session: Session, job_ids: Sequence[str], since: datetime) -> dict[str, int]:
    which = (Image.job_id.in_(job_ids), Image.finished_at > since)
    rows = select(Image.job_id, func.count()).where(*which).group_by(Image.job_id)
    return dict(session.execute(rows).all())


def _last_finished(session: Session, job_ids: Sequence[str]) -> dict[str, datetime | None]:
    """One index lookup for each job: grouping would read all images of them."""
    last = select(func.max(Image.finished_at)).where(Image.job_id == Job.id).scalar_subquery()
    return dict(session.execute(select(Job.id, last).where(Job.id.in_(job_ids))).all())


def _lock(session: Session, job_id: str, *, shared: bool = False) -> Job:
    """SQLite has one writer at a time anyway."""
    # Inserts that refer to the row, as every new image does, need not wait.
    how = {"read": True} if shared else {"key_share": True}
    job = session.get(Job, job_id, with_for_update=how)
    if job is None:
        raise NoJobError
    return job
