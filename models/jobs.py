"""Jobs: one bulk upload each. How far one is, is counted from its images."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.paging import Page
from models.tables import FINAL_STATES, Image, Job, State, now

RATE_WINDOW_S = 30.0


@dataclass(frozen=True)
class JobProgress:
    """A job and its images by state. finished: all was sent and every state is final."""

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
    images_per_second: float | None  # lately; of the whole job once it is finished
    seconds_left: float | None  # None while nobody can tell


def create_job(session: Session, *, name: str, user_id: int) -> Job:
    job = Job(id=uuid4().hex, name=name, user_id=user_id)
    session.add(job)
    session.flush()
    return job


def get_job(session: Session, job_id: str) -> Job | None:
    return session.get(Job, job_id)


def close_job(session: Session, job_id: str) -> None:
    job = session.get(Job, job_id)
    if job is not None and job.closed_at is None:
        job.closed_at = now()


def job_progress(session: Session, job_id: str) -> JobProgress | None:
    job = session.get(Job, job_id)
    return _progress(session, [job])[0] if job is not None else None


def list_jobs(session: Session, *, page: int = 1, page_size: int = 50) -> Page[JobProgress]:
    newest = select(Job).order_by(Job.created_at.desc(), Job.id)
    jobs = session.scalars(newest.limit(page_size).offset((page - 1) * page_size)).all()
    total = session.scalar(select(func.count()).select_from(Job)) or 0
    return Page(_progress(session, jobs), page, page_size, total)


def _progress(session: Session, jobs: Sequence[Job]) -> list[JobProgress]:
    ids = [job.id for job in jobs]
    counts = _count_states(session, ids)
    recent = _count_recent(session, ids)
    last = _last_finished(session, ids)
    return [
        _describe(job, counts.get(job.id, {}), recent.get(job.id, 0), last.get(job.id))
        for job in jobs
    ]


def _describe(
    job: Job, counts: dict[State, int], recent: int, last: datetime | None
) -> JobProgress:
    total = sum(counts.values())
    waiting = total - sum(counts.get(state, 0) for state in FINAL_STATES)
    finished = job.closed_at is not None and waiting == 0
    rate = _overall_rate(job, total, last) if finished else _recent_rate(job, recent)
    return JobProgress(
        id=job.id,
        name=job.name,
        created_at=job.created_at,
        closed_at=job.closed_at,
        finished=finished,
        **{state.value: counts.get(state, 0) for state in State},
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


def _count_states(session: Session, job_ids: list[str]) -> dict[str, dict[State, int]]:
    rows = session.execute(
        select(Image.job_id, Image.state, func.count())
        .where(Image.job_id.in_(job_ids))
        .group_by(Image.job_id, Image.state)
    )
    counts: dict[str, dict[State, int]] = {}
    for job_id, state, count in rows:
        counts.setdefault(job_id, {})[state] = count
    return counts


def _count_recent(session: Session, job_ids: list[str]) -> dict[str, int]:
    since = now() - timedelta(seconds=RATE_WINDOW_S)
    rows = session.execute(
        select(Image.job_id, func.count())
        .where(Image.job_id.in_(job_ids), Image.finished_at > since)
        .group_by(Image.job_id)
    )
    return dict(rows.all())


def _last_finished(session: Session, job_ids: list[str]) -> dict[str, datetime]:
    rows = session.execute(
        select(Image.job_id, func.max(Image.finished_at))
        .where(Image.job_id.in_(job_ids), Image.finished_at.is_not(None))
        .group_by(Image.job_id)
    )
    return {job_id: last for job_id, last in rows if last is not None}
