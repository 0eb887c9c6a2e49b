"""Promotion: which model version is in production, since when, and by whose decision.

The history of the alias `production` is only added to. Read as promotions that push and roll-backs
that pop, it is a stack: after A, B and C, rolling back leads to B, and again to A; a promotion
then continues from there. A night promotes its candidate if the promotion gate agrees. An admin may
promote against the gate, explicitly, and the history keeps the gate's objection.
"""

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.learning.nights import answer_night, night_of_candidate
from models.learning.versions import PromotionError, check_servable, register_version
from models.tables.intake import ModelAlias, ModelVersion, Move
from models.tables.learning import Answer, Night, Outcome

PRODUCTION = "production"
REASON_LENGTH = 500


class GateObjectionError(PromotionError):
    """The promotion gate's objection; an admin may override it explicitly."""


def production_version(session: Session) -> ModelVersion | None:
    history = (
        select(ModelVersion)
        .join(ModelAlias, ModelAlias.model_version_id == ModelVersion.id)
        .where(ModelAlias.name == PRODUCTION)
    )
    return session.scalar(history.order_by(ModelAlias.id.desc()).limit(1))


def production_history(session: Session) -> list[ModelAlias]:
    """Newest first; a version was in production from its row's `created_at` to the next row's."""
    rows = select(ModelAlias).where(ModelAlias.name == PRODUCTION).order_by(ModelAlias.id.desc())
    return list(session.scalars(rows))


def set_production(
    session: Session,
    version: ModelVersion,
    *,
    reason: str,
    user_id: int | None = None,
    move: Move = Move.PROMOTION,
) -> None:
    """Add to the history. Workers use the version from their next chunk on."""
    session.add(
        ModelAlias(
            name=PRODUCTION,
            model_version_id=version.id,
            user_id=user_id,
            reason=reason[:REASON_LENGTH],
            move=move,
        )
    )
    session.flush()


def promote(session: Session, version: ModelVersion, *, user_id: int | None, reason: str) -> bool:
    """Return False if the version is in production already. Call `check_servable` first."""
    lock_history(session)
    live = production_version(session)
    if live is not None and live.id == version.id:
        return False
    set_production(session, version, reason=reason, user_id=user_id)
    return True


def roll_back(session: Session, *, user_id: int | None, reason: str) -> ModelVersion:
    """Go one step back and return that version. Raises PromotionError if there is none."""
    lock_history(session)
    target = roll_back_target(session)
    if target is None:
        raise PromotionError("nothing to roll back to: no version was in production before")
    set_production(session, target, reason=reason, user_id=user_id, move=Move.ROLL_BACK)
    return target


def roll_back_target(session: Session) -> ModelVersion | None:
    stack: list[int] = []  # what rolling back leads through; the last one is in production
    for entry in reversed(production_history(session)):
        if entry.move is Move.ROLL_BACK:
            stack.pop()
        elif stack[-1:] != [entry.model_version_id]:
            stack.append(entry.model_version_id)
    return session.get_one(ModelVersion, stack[-2]) if len(stack) > 1 else None


def lock_history(session: Session) -> None:
    """Until the transaction ends nobody else changes the production version."""
    # The oldest row, since it is always the same one.
    oldest = select(ModelAlias.id).where(ModelAlias.name == PRODUCTION).order_by(ModelAlias.id)
    session.execute(oldest.limit(1).with_for_update())


def install_baseline(session: Session, *, data_dir: Path) -> None:
    """Put the shipped network into production where none is, or where an older shipped one is.

    The files of that one went with its release; its row and its predictions stay.
    """
    version = register_version(session, folder=None, data_dir=data_dir)
    live = production_version(session)
    if live is None:
        set_production(session, version, reason="ships with the project")
    elif live.folder is None and live.id != version.id:
        set_production(session, version, reason=f"replaces {live.name} of an earlier release")


def objection(night: Night | None, *, live: ModelVersion | None) -> str | None:
    """Return why promoting the night's candidate is against the gate; None if it is not.

    night: the one that trained the version; None for a version that was not trained by a night.
    """
    if night is None:
        return None
    if night.outcome is Outcome.REFUSED:
        return night.reason
    if night.outcome not in (Outcome.PROPOSED, Outcome.PROMOTED):
        return f"night {night.id} ended before the gate decided: {night.reason}"
    if live is None or night.production is None or night.production_id == live.id:
        return None
    candidate = night.candidate.name if night.candidate else "it"
    return f"{candidate} was compared with {night.production.name}, but {live.name} is live now"


def promote_as_admin(
    session: Session,
    version: ModelVersion,
    *,
    settings: Settings,
    user_id: int,
    reason: str = "",
    despite_refusal: bool = False,
    expected_live: str | None = None,
) -> bool:
    """Return False if the version is in production already.

    expected_live: name of the version that the admin believes to be in production. Raises
    GateObjectionError; PromotionError also while a night still works on the version.
    """
    check_servable(version, settings)
    lock_history(session)
    live = _live(session, expected_live, unless=version.name)
    night = night_of_candidate(session, version.id)
    if night is not None and night.is_open:
        raise PromotionError(f"night {night.id} is still running for {version.name}")
    is_live = live is not None and live.id == version.id
    objected = None if is_live else objection(night, live=live)
    if objected is not None and not despite_refusal:
        raise GateObjectionError(objected)
    is_promoted = promote(
        session, version, user_id=user_id, reason=_reason(reason, night, objected)
    )
    if is_promoted and night is not None:
        answer_night(session, night, Answer.PROMOTED, user_id=user_id)
    return is_promoted


def roll_back_as_admin(
    session: Session, *, settings: Settings, user_id: int, expected_live: str, reason: str = ""
) -> ModelVersion:
    """Go one step back. Raises PromotionError, also if the earlier version cannot be served."""
    lock_history(session)
    live = _live(session, expected_live)
    target = roll_back_target(session)
    if target is not None:
        check_servable(target, settings)
    left = live.name if live is not None else "nothing"
    return roll_back(session, user_id=user_id, reason=reason or f"rolled back from {left}")


def reject_candidate(session: Session, version: ModelVersion, *, user_id: int) -> Night:
    """Reject a night's candidate; repeating it changes nothing. Raises PromotionError."""
    lock_history(session)
    live = production_version(session)
    if live is not None and live.id == version.id:
        raise PromotionError(f"{version.name} is live: roll back instead")
    night = night_of_candidate(session, version.id)
    if night is None or night.outcome not in (Outcome.PROPOSED, Outcome.REFUSED):
        raise PromotionError(f"nothing to reject: no night proposes {version.name}")
    if night.answer is Answer.PROMOTED:
        raise PromotionError(f"{version.name} was promoted already")
    if night.answer is None:
        answer_night(session, night, Answer.REJECTED, user_id=user_id)
    return night


def open_proposal(session: Session) -> Night | None:
    """Return the newest night whose candidate waits for an admin's answer."""
    waiting = Night.outcome == Outcome.PROPOSED, Night.answer.is_(None)
    return session.scalar(select(Night).where(*waiting).order_by(Night.id.desc()).limit(1))


def _live(
    session: Session, expected: str | None, *, unless: str | None = None
) -> ModelVersion | None:
    """unless: a version that may be live already without conflict."""
    live = production_version(session)
    if expected is not None and live is not None and live.name not in (expected, unless):
        raise PromotionError(f"version {live.name} is live now, no longer {expected}: reload first")
    return live


def _reason(given: str, night: Night | None, objected: str | None) -> str:
    if objected is not None:
        return f"{given or 'decided by an admin'} (against the gate: {objected})"
    proposal = f"proposed by night {night.id}: {night.reason}" if night else "decided by an admin"
    return given or proposal
