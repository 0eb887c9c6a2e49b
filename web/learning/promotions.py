"""Promote, roll back, reject: shared by portal and API, with audit rows."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import abort
from sqlalchemy.orm import Session

from models.learning.promotion import GateObjectionError, promote_as_admin, roll_back_as_admin
from models.learning.promotion import reject_candidate as reject
from models.learning.versions import PromotionError, find_version
from models.tables.intake import ModelVersion
from web.auth.rules import person, record_action
from web.context import current_settings, write_session


def promote(
    name: str, *, reason: str = "", despite_refusal: bool = False, live: str | None = None
) -> None:
    with _deciding() as session:
        version = known_version(session, name)
        moved = promote_as_admin(
            session,
            version,
            settings=current_settings(),
            user_id=person().id,
            reason=reason,
            despite_refusal=despite_refusal,
            expected_live=live,
        )
        if moved:
            record_action(session, "version.promoted", name)


def roll_back(*, live: str, reason: str = "") -> str:
    """Return the name of the version that is then in production."""
    with _deciding() as session:
        settings, user_id = current_settings(), person().id
        target = roll_back_as_admin(
            session, settings=settings, user_id=user_id, expected_live=live, reason=reason
        )
        record_action(session, "version.rolled-back", target.name)
        return target.name


def reject_candidate(name: str) -> None:
    with _deciding() as session:
        reject(session, known_version(session, name), user_id=person().id)
        record_action(session, "version.rejected", name)


def known_version(session: Session, name: str) -> ModelVersion:
    version = find_version(session, name)
    if version is None:
        abort(404, "model version not found")
    return version


@contextmanager
def _deciding() -> Iterator[Session]:
    try:
        with write_session() as session:
            yield session
    except GateObjectionError as error:
        why = str(error).removesuffix(".")
        abort(409, f"{why}; to promote it anyway, set despite_refusal")
    except PromotionError as error:
        abort(409, str(error))
