"""Nights: never two at once, each held by one worker, every step written as it is made.

A worker claims the open night with a lease (`models.lease`) and extends it while it works.

When the nightly job is due: at a local time of day, once a date, whatever the clocks do.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from models.base import now
from models.config.settings import Settings
from models.lease import NO_LEASE, claim_rows, is_exhausted, is_free, release_rows
from models.query import Page, insert_new, update_rows
from models.tables.intake import ModelAlias
from models.tables.learning import Answer, Night, Outcome

STAGES = {  # in their order, with the words for people
    "waiting": "waiting to start",
    "labels": "counting new labels and measuring drift",
    "snapshot": "taking a snapshot of the training data",
    "training": "training",
    "evaluation": "comparing with the production model",
    "done": "done",
}
REASON_LENGTH = 500
CANCELLED = "cancelled before it started"
FAILED = "failed after {attempts} attempts; see the log"
_OPEN = Night.is_open.is_(True)


@dataclass(frozen=True)
class NightClaim:
    night_id: int
    holder: str


def request_night(session: Session, *, user_id: int | None) -> Night:
    """At once, for a person. The one that is open already, where there is one."""
    insert_new(session, Night, [{"is_open": True, "user_id": user_id}])
    return session.scalars(select(Night).where(_OPEN)).one()


def schedule_night(session: Session, *, due_at: datetime) -> bool:
    """Whether this made one. Not while another is open, and never twice for the same moment."""
    insert_new(session, Night, [{"is_open": True, "due_at": due_at}])
    night = session.scalar(select(Night).where(Night.due_at == due_at))
    return night is not None and night.stage == "waiting"


def open_night(session: Session) -> Night | None:
    return session.scalar(select(Night).where(_OPEN))


def get_night(session: Session, night_id: int) -> Night | None:
    return session.get(Night, night_id)


def list_nights(session: Session, *, page: int = 1, page_size: int = 20) -> Page[Night]:
    newest = select(Night).order_by(Night.id.desc())
    rows = session.scalars(newest.limit(page_size).offset((page - 1) * page_size)).all()
    total = session.scalar(select(func.count()).select_from(Night)) or 0
    return Page(list(rows), page, page_size, total)


def night_of_candidate(session: Session, version_id: int) -> Night | None:
    """The night that made this version; None for one that came otherwise."""
    made = select(Night).where(Night.candidate_id == version_id)
    return session.scalar(made.order_by(Night.id.desc()).limit(1))


def newest_due(session: Session) -> datetime | None:
    """For when the newest night was due that came by itself."""
    return session.scalar(select(func.max(Night.due_at)))


def cancel_night(session: Session, night_id: int) -> None:
    """One that nobody works on ends at once; a worker notices within seconds."""
    which = (Night.id == night_id, _OPEN)
    update_rows(session, Night, *which, is_cancelled=True)
    update_rows(session, Night, *which, is_free(Night), **_ending(Outcome.CANCELLED, CANCELLED))


def answer_night(session: Session, night: Night, answer: Answer, *, user_id: int) -> None:
    night.answer, night.answered_by, night.answered_at = answer, user_id, now()
    session.flush()


def has_waiting_night(session: Session) -> bool:
    """Whether a nudge is due."""
    return session.scalar(select(Night.id).where(_OPEN, is_free(Night))) is not None


def claim_night(session: Session, *, lease_s: float, max_attempts: int) -> NightClaim | None:
    lease, rows = claim_rows(
        session,
        Night,
        *(_OPEN, is_free(Night), Night.attempts < max_attempts),
        lease_s=lease_s,
        returning=[Night.id],
        started_at=func.coalesce(Night.started_at, now()),
    )
    return NightClaim(rows[0].id, lease.holder) if rows else None


def extend(session: Session, claim: NightClaim, *, lease_s: float) -> bool:
    """False where the night is no longer this claim's."""
    return note(session, claim, leased_until=now() + timedelta(seconds=lease_s))


def is_cancelled(session: Session, claim: NightClaim) -> bool:
    return bool(session.scalar(select(Night.is_cancelled).where(Night.id == claim.night_id)))


def note(session: Session, claim: NightClaim, **values: Any) -> bool:
    """Write columns of the night; False where it is no longer this claim's."""
    return update_rows(session, Night, *_is_held(claim), **values) == 1


def reach(session: Session, claim: NightClaim, stage: str) -> bool:
    """A stage that no attempt had come to makes up for the attempts before it."""
    night = session.get(Night, claim.night_id, populate_existing=True)
    if night is None:
        return False
    stages = list(STAGES)
    further = stages.index(stage) > stages.index(night.stage)
    values: dict[str, Any] = {"stage": stage, "attempts": 1} if further else {}
    return note(session, claim, progress="", **values)


def finish_night(session: Session, claim: NightClaim, outcome: Outcome, reason: str) -> bool:
    return note(session, claim, **_ending(outcome, reason))


def release_night(session: Session, claim: NightClaim, *, count_attempt: bool = False) -> None:
    release_rows(session, Night, *_is_held(claim), count_attempt=count_attempt)


def fail_exhausted_night(session: Session, *, max_attempts: int) -> bool:
    """A night whose last attempt has lapsed ends as failed."""
    which = (_OPEN, is_exhausted(Night, attempts=max_attempts))
    ending = _ending(Outcome.FAILED, FAILED.format(attempts=max_attempts))
    return update_rows(session, Night, *which, **ending) > 0


def _is_held(claim: NightClaim) -> tuple[ColumnElement[bool], ...]:
    return Night.id == claim.night_id, _OPEN, Night.leased_by == claim.holder


def _ending(outcome: Outcome, reason: str) -> dict[str, Any]:
    return {
        "stage": "done",
        "outcome": outcome,
        "reason": reason[:REASON_LENGTH],
        "is_open": None,
        "finished_at": now(),
        "progress": "",
    } | NO_LEASE


def last_due(moment: datetime, *, at: str, time_zone: str) -> datetime:
    """The newest time not after `moment` at which a night was due."""
    return max(due for due in _around(moment, at, time_zone) if due <= moment)


def next_due(moment: datetime, settings: Settings) -> datetime | None:
    """None where nights are switched off."""
    if not settings.night_at:
        return None
    around = _around(moment, settings.night_at, settings.time_zone)
    return min(due for due in around if due > moment)


def begin_due_night(session: Session, settings: Settings, *, moment: datetime) -> bool:
    """Whether one was begun. However many were missed, one night makes up for them."""
    if not settings.night_at:
        return False
    due = last_due(moment, at=settings.night_at, time_zone=settings.time_zone)
    before = newest_due(session) or session.scalar(select(func.min(ModelAlias.created_at)))
    if before is None or due <= before:  # a new installation waits for its first night
        return False
    return schedule_night(session, due_at=due)


def _around(moment: datetime, at: str, time_zone: str) -> list[datetime]:
    """A time that the clocks skip falls an hour later; of one that comes twice the first counts."""
    here = ZoneInfo(time_zone) if time_zone else None
    today = moment.astimezone(here).date()
    days = (today + timedelta(days=shift) for shift in (-2, -1, 0, 1, 2))
    return [_local(day, time.fromisoformat(at), here) for day in days]


def _local(day: date, at: time, here: ZoneInfo | None) -> datetime:
    naive = datetime.combine(day, at)
    local = naive.replace(tzinfo=here) if here else naive
    return local.astimezone(UTC)  # times of one zone that the clocks skip or repeat compare oddly
