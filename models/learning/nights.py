"""Nights, the runs of the nightly job: never two at once, each held by one worker.

A worker claims the open night with a lease (`models.lease`) and extends it while it works. Nights
are due at a local time of day, once a date, also where clocks are changed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from models.base import now
from models.clock import CLOCKS_DIFFER_BY
from models.config.settings import Settings
from models.lease import NO_LEASE, claim_rows, is_exhausted, is_free, release_rows
from models.query import Page, insert_new, read_page, update_rows
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
LEASE_S = 30.0  # its worker extends it every few seconds
REASON_LENGTH = 500
CANCELLED = "cancelled before it started"
FAILED = "failed after {attempts} attempts; see the log"
_OPEN = Night.is_open.is_(True)


def _is_free() -> ColumnElement[bool]:
    return is_free(Night, lease_s=LEASE_S)


@dataclass(frozen=True)
class NightClaim:
    night_id: int
    holder: str


def request_night(session: Session, *, user_id: int | None) -> Night:
    """Return a night for a user, or the one that is open already."""
    insert_new(session, Night, [{"is_open": True, "user_id": user_id}])
    return session.scalars(select(Night).where(_OPEN)).one()


def open_night(session: Session) -> Night | None:
    return session.scalar(select(Night).where(_OPEN))


def list_nights(session: Session, *, page: int = 1, page_size: int = 20) -> Page[Night]:
    newest = select(Night).order_by(Night.id.desc())
    return read_page(session, newest, page=page, page_size=page_size)


def night_of_candidate(session: Session, version_id: int) -> Night | None:
    """Return the night that trained this version; None if it was not trained by a night."""
    made = select(Night).where(Night.candidate_id == version_id)
    return session.scalar(made.order_by(Night.id.desc()).limit(1))


def cancel_night(session: Session, night_id: int) -> None:
    """A night that no worker holds ends at once; a worker notices within seconds."""
    which = (Night.id == night_id, _OPEN)
    update_rows(session, Night, *which, is_cancelled=True)
    update_rows(session, Night, *which, _is_free(), **_ending(Outcome.CANCELLED, CANCELLED))


def answer_night(session: Session, night: Night, answer: Answer, *, user_id: int) -> None:
    night.answer, night.answered_by, night.answered_at = answer, user_id, now()
    session.flush()


def has_waiting_night(session: Session) -> bool:
    return session.scalar(select(Night.id).where(_OPEN, _is_free())) is not None


def claim_night(session: Session, *, max_attempts: int) -> NightClaim | None:
    holder, rows = claim_rows(
        session,
        Night,
        *(_OPEN, _is_free(), Night.attempts < max_attempts),
        lease_s=LEASE_S,
        returning=[Night.id],
        started_at=func.coalesce(Night.started_at, now()),
    )
    return NightClaim(rows[0].id, holder) if rows else None


def extend(session: Session, claim: NightClaim) -> bool:
    """Return False if the night is no longer this claim's."""
    return update_night(session, claim, leased_until=now() + timedelta(seconds=LEASE_S))


def is_cancelled(session: Session, claim: NightClaim) -> bool:
    return bool(session.scalar(select(Night.is_cancelled).where(Night.id == claim.night_id)))


def update_night(session: Session, claim: NightClaim, **values: Any) -> bool:
    """Set columns of the night; False if it is no longer this claim's."""
    return update_rows(session, Night, *_is_held(claim), **values) == 1


def begin_stage(session: Session, claim: NightClaim, stage: str) -> bool:
    """Return False if the claim is lost. A new stage resets the attempts."""
    night = session.get(Night, claim.night_id, populate_existing=True)
    if night is None:
        return False
    stages = list(STAGES)
    further = stages.index(stage) > stages.index(night.stage)
    values: dict[str, Any] = {"stage": stage, "attempts": 1} if further else {}
    return update_night(session, claim, progress="", **values)


def finish_night(session: Session, claim: NightClaim, outcome: Outcome, reason: str) -> bool:
    return update_night(session, claim, **_ending(outcome, reason))


def release_night(session: Session, claim: NightClaim, *, count_attempt: bool = False) -> None:
    release_rows(session, Night, *_is_held(claim), count_attempt=count_attempt)


def fail_exhausted_night(session: Session, *, max_attempts: int) -> bool:
    """A night whose last attempt has lapsed ends as failed."""
    which = (_OPEN, is_exhausted(Night, attempts=max_attempts, lease_s=LEASE_S))
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
    """Return the last time up to `moment` at which a night was due."""
    return max(due for due in _due_times(moment, at, time_zone) if due <= moment)


def next_due(moment: datetime, settings: Settings) -> datetime | None:
    """None if nights are switched off."""
    if not settings.night_at:
        return None
    around = _due_times(moment, settings.night_at, settings.time_zone)
    return min(due for due in around if due > moment)


def begin_due_night(session: Session, settings: Settings, *, moment: datetime) -> bool:
    """Return whether a night was added. One night makes up for all that were missed."""
    if not settings.night_at:
        return False
    due = last_due(moment, at=settings.night_at, time_zone=settings.time_zone)
    before = session.scalar(select(func.max(Night.due_at))) or session.scalar(
        select(func.min(ModelAlias.created_at))
    )
    # A new installation waits for its first night. One of the future is of a clock set back since.
    if before is None or due <= before <= moment + CLOCKS_DIFFER_BY:
        return False
    # Adds nothing while another night is open.
    insert_new(session, Night, [{"is_open": True, "due_at": due}])
    night = session.scalar(select(Night).where(Night.due_at == due))
    return night is not None and night.stage == "waiting"


def _due_times(moment: datetime, at: str, time_zone: str) -> list[datetime]:
    """A local time that is skipped is an hour later; of a repeated one the first counts."""
    zone = ZoneInfo(time_zone) if time_zone else None
    today = moment.astimezone(zone).date()
    days = (today + timedelta(days=shift) for shift in (-2, -1, 0, 1, 2))
    local = (datetime.combine(day, time.fromisoformat(at), zone) for day in days)
    return [due.astimezone(UTC) for due in local]  # aware times of one zone compare as naive ones
