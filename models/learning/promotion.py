"""What an admin may make live, and what is noted then: the rules of portal, API and commands.

A night's candidate goes live as the gate says. Against the gate, an admin says so expressly, and
the history keeps what the gate had to say.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.learning.nights import answer_night, night_of_candidate
from models.learning.versions import (
    LiveChangedError,
    NotMovedError,
    check_servable,
    lock_history,
    production_version,
    promote,
    roll_back,
    roll_back_target,
)
from models.tables.intake import ModelVersion
from models.tables.learning import Answer, Night, Outcome


class AgainstGateError(NotMovedError):
    """The gate's objection; an admin may go against it, and then says so."""


def objection(night: Night | None, *, live: ModelVersion | None) -> str | None:
    """Why making the night's candidate live goes against the gate; None where it does not.

    night: the one that made the version; None for a version that came otherwise.
    """
    if night is None:
        return None
    if night.outcome is Outcome.REFUSED:
        return night.reason
    if night.outcome not in (Outcome.PROPOSED, Outcome.PROMOTED):
        return f"night {night.id} ended before the gate had decided: {night.reason}"
    if live is None or night.production is None or night.production_id == live.id:
        return None
    candidate = night.candidate.name if night.candidate else "it"
    return f"{candidate} was compared with {night.production.name}, but {live.name} is live now"


def go_live(
    session: Session,
    version: ModelVersion,
    *,
    settings: Settings,
    user_id: int,
    reason: str = "",
    despite_refusal: bool = False,
    expected_live: str | None = None,
) -> bool:
    """An admin makes a version live. False where it is live already.

    expected_live: name of the version that the admin takes for live. Raises NotMovedError: what
    cannot be read, what a night still works on, AgainstGateError, LiveChangedError.
    """
    check_servable(version, settings)
    lock_history(session)
    live = _live(session, expected_live, unless=version.name)
    night = night_of_candidate(session, version.id)
    if night is not None and night.is_open:
        raise NotMovedError(f"night {night.id} is still at work on {version.name}")
    against = None if live is not None and live.id == version.id else objection(night, live=live)
    if against is not None and not despite_refusal:
        raise AgainstGateError(against)
    moved = promote(session, version, user_id=user_id, reason=_reason(reason, night, against))
    if moved and night is not None:
        answer_night(session, night, Answer.PROMOTED, user_id=user_id)
    return moved


def go_back(
    session: Session,
    *,
    settings: Settings,
    user_id: int,
    expected_live: str,
    reason: str = "",
) -> ModelVersion:
    """One step back. Raises NotMovedError, also where the version before cannot be read."""
    lock_history(session)
    live = _live(session, expected_live)
    target = roll_back_target(session)
    if target is not None:
        check_servable(target, settings)
    left = live.name if live is not None else "nothing"
    return roll_back(session, user_id=user_id, reason=reason or f"rolled back from {left}")


def reject(session: Session, version: ModelVersion, *, user_id: int) -> Night:
    """An admin says no to a night's candidate. Again changes nothing. Raises NotMovedError."""
    lock_history(session)
    live = production_version(session)
    if live is not None and live.id == version.id:
        raise NotMovedError(f"{version.name} is live: roll back instead")
    night = night_of_candidate(session, version.id)
    if night is None or night.outcome not in (Outcome.PROPOSED, Outcome.REFUSED):
        raise NotMovedError(f"no night proposes {version.name}: there is nothing to reject")
    if night.answer is Answer.PROMOTED:
        raise NotMovedError(f"{version.name} was promoted already")
    if night.answer is None:
        answer_night(session, night, Answer.REJECTED, user_id=user_id)
    return night


def open_proposal(session: Session) -> Night | None:
    """The newest night whose candidate waits for an admin's answer."""
    waiting = Night.outcome == Outcome.PROPOSED, Night.answer.is_(None)
    return session.scalar(select(Night).where(*waiting).order_by(Night.id.desc()).limit(1))


def _live(
    session: Session, expected: str | None, *, unless: str | None = None
) -> ModelVersion | None:
    """unless: to be live already is no surprise for whoever asks for it again."""
    live = production_version(session)
    if expected is not None and live is not None and live.name not in (expected, unless):
        raise LiveChangedError(
            f"the version {live.name} is live by now, no longer {expected}: look again"
        )
    return live


def _reason(given: str, night: Night | None, against: str | None) -> str:
    if against is not None:
        return f"{given or 'an admin decided so'} (against the gate: {against})"
    proposal = f"proposed by night {night.id}: {night.reason}" if night else "an admin decided so"
    return given or proposal
