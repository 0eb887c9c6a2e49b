"""Claims of images: which images a worker gets next, and how it gives them back.

Claims are fair: every waiting job gets an equal share of each, so that a few urgent images need not
wait for the hundred thousand that came before. With more waiting jobs than places in a claim, a
random choice of them is served. All images of a claim are recorded together, so one with the last
images of a small job is kept short.

Images that never lost a worker are claimed in chunks; one that did is claimed alone, so that a file
that kills its worker takes no other with it. The first lost claim, perhaps in company, does not
count against the image: it fails after `max_attempts` lost claims alone. Those lost least often go
first, or workers that are killed for other reasons would be killed over the same image repeatedly.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, func, literal, or_, select
from sqlalchemy.orm import Session

from models.base import now
from models.config.settings import Settings
from models.lease import NO_LEASE, claim_rows, is_exhausted, is_free, release_rows
from models.query import update_rows
from models.tables.intake import WAITING_STATES, Image, State
from pipeline.errors import RefusalCode

JOBS_PER_CLAIM = 8  # each costs a query
BACKLOG_SHARE = 4  # a claim takes one in so many, so that other workers find some
SMALL_CHUNK = 32  # images; fewer cost more for claim and record than they save
URGENT = 8  # images of a job that is waited for; beside it other jobs get no more
SUSPECT_SHARE = 0.1  # of the claims, for images that lost a worker while fresh ones wait
STOPPED_WORKER = "this file stopped its worker {attempts} times"


@dataclass(frozen=True)
class ClaimedImage:
    id: int
    job_id: str
    file: str
    sha256: str
    attempts: int


@dataclass(frozen=True)
class Claim:
    """Images of one state that are one worker's for the time of a lease."""

    id: str
    state: State
    images: tuple[ClaimedImage, ...]


def claim_images(session: Session, state: State, settings: Settings) -> Claim:
    ids: list[int] = []
    waiting = and_(Image.state == state, is_free(Image, lease_s=settings.lease_s))
    count = _count(session, waiting, most=settings.chunk_size * BACKLOG_SHARE)
    if not count:
        return Claim("", state, ())
    if random.random() < SUSPECT_SHARE:  # noqa: S311  not a secret
        ids = _pick_suspect(session, waiting, settings.max_attempts)
    ids = ids or _pick_shares(session, waiting, count=count, most=settings.chunk_size)
    ids = ids or _pick_suspect(session, waiting, settings.max_attempts)
    columns = (Image.id, Image.job_id, Image.file, Image.sha256, Image.attempts)
    holder, rows = claim_rows(
        session, Image, Image.id.in_(ids), lease_s=settings.lease_s, returning=columns
    )
    images = tuple(ClaimedImage(*row) for row in sorted(rows))
    return Claim(holder, state, images)


def release(session: Session, claim: Claim, *, count_attempt: bool = False) -> None:
    """Give back the images that the claim still holds."""
    release_rows(session, Image, *_is_held(claim), count_attempt=count_attempt)


def still_held(session: Session, claim: Claim) -> set[int]:
    """Ids of the claim's images that are still its own, locked until the transaction ends."""
    held = select(Image.id).where(*_is_held(claim))
    return set(session.scalars(held.order_by(Image.id).with_for_update()))


def fail_exhausted(session: Session, *, max_attempts: int, lease_s: float) -> int:
    """Images whose last attempt has lapsed become `failed`. Returns how many."""
    return update_rows(
        session,
        Image,
        Image.state.in_(WAITING_STATES),
        is_exhausted(Image, attempts=max_attempts + 1, lease_s=lease_s),
        state=State.FAILED,
        reason=STOPPED_WORKER.format(attempts=max_attempts),
        reason_code=RefusalCode.STOPPED_WORKER,
        finished_at=now(),
        **NO_LEASE,
    )


def has_waiting(session: Session, state: State, *, lease_s: float) -> bool:
    """Whether a worker should be nudged."""
    which = (Image.state == state, is_free(Image, lease_s=lease_s))
    return session.scalar(select(Image.id).where(*which).limit(1)) is not None


def _is_held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    ids = [image.id for image in claim.images]  # so that the rows are found by their key
    return Image.id.in_(ids), Image.leased_by == claim.id, Image.state == claim.state


def _count(session: Session, waiting: ColumnElement[bool], *, most: int) -> int:
    some = select(Image.id).where(waiting).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _pick_shares(
    session: Session, waiting: ColumnElement[bool], *, count: int, most: int
) -> list[int]:
    """The same number from each of some waiting jobs. What one job does not use is left to those
    after it, then to the jobs behind them, and at last to any image that waits.

    count: of what waits, with which a claim grows.
    """
    fresh = (waiting, Image.attempts == 0)
    limit = min(max(count // BACKLOG_SHARE, SMALL_CHUNK), most)
    jobs = _some_jobs(session, *fresh, limit=limit)
    shares: list[list[int]] = []
    left = limit
    for place, job_id in enumerate(jobs):
        shares.append(
            _pick(session, -(-left // (len(jobs) - place)), *fresh, Image.job_id == job_id)
        )
        left -= len(shares[-1])
    sizes = [len(share) for share in shares]
    if sizes and min(sizes) < URGENT < max(sizes):
        return [image_id for share in shares for image_id in share[:URGENT]]
    picked = [image_id for share in shares for image_id in share]
    for after in [max(jobs), ""] if jobs else []:
        if len(picked) < min(limit, count):
            rest = (*fresh, Image.job_id > after, Image.id.not_in(picked))
            by_job = (Image.job_id.expression, Image.id.expression)
            picked += _pick(session, limit - len(picked), *rest, order=by_job)
    return picked


def _some_jobs(session: Session, *fresh: ColumnElement[bool], limit: int) -> Sequence[str]:
    """Waiting jobs in random order; where there are too many, neighbours of a random id."""
    jobs = _waiting_jobs(session, *fresh, most=JOBS_PER_CLAIM + 1)
    if len(jobs) > JOBS_PER_CLAIM:
        behind = _waiting_jobs(session, *fresh, most=JOBS_PER_CLAIM, after=uuid4().hex)
        jobs = list(dict.fromkeys([*behind, *jobs]))[:JOBS_PER_CLAIM]
    return random.sample(jobs, min(len(jobs), limit))


def _waiting_jobs(
    session: Session, *fresh: ColumnElement[bool], most: int, after: str = ""
) -> Sequence[str]:
    """Ids of jobs with such images: one index lookup per job."""
    lowest, one = func.min(Image.job_id), literal(1)
    first = select(lowest.label("job_id"), one.label("place")).where(*fresh, Image.job_id > after)
    found = first.cte("found", recursive=True)
    next_job = select(lowest).where(*fresh, Image.job_id > found.c.job_id).scalar_subquery()
    is_enough = or_(found.c.job_id.is_(None), found.c.place == most)
    found = found.union_all(select(next_job, found.c.place + 1).where(~is_enough))
    return session.scalars(select(found.c.job_id).where(found.c.job_id.is_not(None))).all()


def _pick_suspect(session: Session, waiting: ColumnElement[bool], max_attempts: int) -> list[int]:
    lost = (waiting, Image.attempts.between(1, max_attempts))
    return _pick(session, 1, *lost, order=(Image.attempts.expression, Image.id.expression))


def _pick(
    session: Session,
    limit: int,
    *which: ColumnElement[bool],
    order: tuple[ColumnElement[Any], ...] = (Image.id.expression,),
) -> list[int]:
    """Locked until the transaction ends. SQLite has no FOR UPDATE, but one writer at a time."""
    found = select(Image.id).where(*which).order_by(*order).limit(limit)
    return list(session.scalars(found.with_for_update(skip_locked=True)))
