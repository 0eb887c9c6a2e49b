"""Who works on what, and until when that counts.

A worker claims a chunk by one conditional UPDATE, computes with no transaction open, and writes
only where its claim still stands. Every claim has an identity of its own, so a worker whose lease
lapsed cannot be mistaken for the one that took over, even if it is the same process.

Claims are fair: every job that waits gets an equal share of each, so a handful of urgent images
need not wait for the hundred thousand that came before. Where more jobs wait than a claim serves
one by one, it serves some of them, from a place that is drawn anew each time.

`attempts` counts claims that did not come back. Images that never lost a worker are claimed in
chunks; one that did is claimed alone, so that a file that kills its worker takes no other with it.
The first claim that did not come back, perhaps in company, convicts nobody: an image is parked when
it was lost `max_attempts` times alone. Those that were lost least often go first, or workers that
are killed for other reasons would be killed over the same image again and again.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, func, literal, or_, select, update
from sqlalchemy.orm import Session

from models.base import now
from models.tables.intake import WAITING_STATES, Image, State

JOBS_A_CLAIM = 8  # each costs a query
SUSPECTS_TURN = 0.1  # the share of claims for those who lost a worker while fresh ones wait
PARKED = "this file stopped its worker {attempts} times"


@dataclass(frozen=True)
class ClaimedImage:
    id: int
    job_id: str
    file: str
    sha256: str
    attempts: int


@dataclass(frozen=True)
class Claim:
    """Images of one state that are one worker's until `until`."""

    id: str
    state: State
    until: datetime
    images: tuple[ClaimedImage, ...]


def claim_received(session: Session, *, limit: int, lease_s: float, max_attempts: int) -> Claim:
    return _claim(session, State.RECEIVED, limit, lease_s, max_attempts)


def claim_ready(session: Session, *, limit: int, lease_s: float, max_attempts: int) -> Claim:
    return _claim(session, State.READY, limit, lease_s, max_attempts)


def release(session: Session, claim: Claim) -> None:
    """What the claim still holds goes back as if it had never been claimed."""
    _let_go(session, claim, attempts=Image.attempts - 1)


def give_up(session: Session, claim: Claim) -> None:
    """What the claim still holds goes back, and the attempt counts."""
    _let_go(session, claim, attempts=Image.attempts.expression)


def still_held(session: Session, claim: Claim) -> set[int]:
    """Ids of the claim's images that are still its own, locked until the transaction ends."""
    mine = select(Image.id).where(*_is_held(claim))
    return set(session.scalars(mine.order_by(Image.id).with_for_update()))


def park_exhausted(session: Session, *, max_attempts: int) -> list[str]:
    """Images whose last permitted attempt has lapsed become `failed`. Returns their SHA-256s."""
    lapsed = [
        Image.state.in_(WAITING_STATES),
        Image.attempts > max_attempts,
        _is_free(),
    ]
    parked = session.scalars(
        update(Image)
        .where(*lapsed)
        .values(
            state=State.FAILED,
            reason=PARKED.format(attempts=max_attempts),
            finished_at=now(),
            leased_by=None,
            leased_until=None,
        )
        .returning(Image.sha256)
        .execution_options(synchronize_session=False)
    )
    return list(parked.all())


def has_waiting(session: Session, state: State) -> bool:
    """Whether a nudge is due: something waits with no lease or a lapsed one."""
    waiting = select(Image.id).where(Image.state == state, _is_free()).limit(1)
    return session.scalar(waiting) is not None


def _let_go(session: Session, claim: Claim, *, attempts: ColumnElement[int]) -> None:
    session.execute(
        update(Image)
        .where(*_is_held(claim))
        .values(leased_by=None, leased_until=None, attempts=attempts)
        .execution_options(synchronize_session=False)
    )


def _is_held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    ids = [image.id for image in claim.images]  # so that the rows are found by their key
    return Image.id.in_(ids), Image.leased_by == claim.id, Image.state == claim.state


def _claim(session: Session, state: State, limit: int, lease_s: float, max_attempts: int) -> Claim:
    ids: list[int] = []
    if random.random() < SUSPECTS_TURN:  # noqa: S311  nobody gains by guessing it
        ids = _pick_suspect(session, state, max_attempts)
    ids = ids or _pick_shares(session, state, limit) or _pick_suspect(session, state, max_attempts)
    claim_id, until = uuid4().hex, now() + timedelta(seconds=lease_s)
    taken = session.execute(
        update(Image)
        .where(Image.id.in_(ids))
        .values(leased_by=claim_id, leased_until=until, attempts=Image.attempts + 1)
        .returning(Image.id, Image.job_id, Image.file, Image.sha256, Image.attempts)
        .execution_options(synchronize_session=False)
    )
    return Claim(claim_id, state, until, tuple(ClaimedImage(*row) for row in sorted(taken.all())))


def _pick_shares(session: Session, state: State, limit: int) -> list[int]:
    """Of some waiting jobs the same number each; what one does not use is left to those after it,
    and what all of them do not use to the jobs behind them, and at last to whatever waits.
    """
    jobs = _some_jobs(session, state, limit=limit)
    fresh = (Image.state == state, Image.attempts == 0)
    picked: list[int] = []
    for place, job_id in enumerate(jobs):
        share = -(-(limit - len(picked)) // (len(jobs) - place))
        picked += _pick(session, share, *fresh, Image.job_id == job_id)
    for after in [max(jobs), ""] if jobs else []:
        if len(picked) < limit:
            rest = (*fresh, Image.job_id > after, Image.id.not_in(picked))
            by_job = (Image.job_id.expression, Image.id.expression)
            picked += _pick(session, limit - len(picked), *rest, order=by_job)
    return picked


def _some_jobs(session: Session, state: State, *, limit: int) -> Sequence[str]:
    """Waiting jobs in random order; neighbours by their random ids where there are too many."""
    jobs = _waiting_jobs(session, state, most=JOBS_A_CLAIM + 1)
    if len(jobs) > JOBS_A_CLAIM:
        behind = _waiting_jobs(session, state, most=JOBS_A_CLAIM, after=uuid4().hex)
        jobs = list(dict.fromkeys([*behind, *jobs]))[:JOBS_A_CLAIM]
    return random.sample(jobs, min(len(jobs), limit))


def _waiting_jobs(session: Session, state: State, *, most: int, after: str = "") -> Sequence[str]:
    """Jobs with fresh images in this state that nobody holds, by their ids: one step of the index
    for each job, not for each image.
    """
    which = (Image.state == state, Image.attempts == 0, _is_free())
    lowest, one = func.min(Image.job_id), literal(1)
    first = select(lowest.label("job_id"), one.label("place")).where(*which, Image.job_id > after)
    found = first.cte("found", recursive=True)
    following = select(lowest).where(*which, Image.job_id > found.c.job_id).scalar_subquery()
    is_enough = or_(found.c.job_id.is_(None), found.c.place == most)
    found = found.union_all(select(following, found.c.place + 1).where(~is_enough))
    return session.scalars(select(found.c.job_id).where(found.c.job_id.is_not(None))).all()


def _pick_suspect(session: Session, state: State, max_attempts: int) -> list[int]:
    lost = Image.attempts.between(1, max_attempts)
    return _pick(
        session,
        1,
        Image.state == state,
        lost,
        order=(Image.attempts.expression, Image.id.expression),
    )


def _pick(
    session: Session,
    limit: int,
    *which: ColumnElement[bool],
    order: tuple[ColumnElement[Any], ...] = (Image.id.expression,),
) -> list[int]:
    """Locked until the transaction ends. SQLite has no FOR UPDATE and needs none: writers exclude
    each other.
    """
    free = select(Image.id).where(*which, _is_free()).order_by(*order).limit(limit)
    return list(session.scalars(free.with_for_update(skip_locked=True)))


def _is_free() -> ColumnElement[bool]:
    return or_(Image.leased_until.is_(None), Image.leased_until < now())
