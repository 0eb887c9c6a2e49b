"""Check names and passwords: a wrong one of either gives the same answer after the same time.

Rate limits per address are kept in memory, so per process; `overread up` has one portal.
"""

import time
from datetime import timedelta

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits import parse
from limits.storage import MemoryStorage
from sqlalchemy.orm import Session

from models.audit.log import record
from models.people.logins import begin_attempt, forgive_attempts
from models.people.passwords import HASHING, hash_password, is_outdated, is_right
from models.people.second_factors import use_code
from models.people.users import end_logins, find_user, normal_name
from models.tables.people import User
from web.auth.known_browsers import counted_elsewhere, where_counted
from web.context import current_context, current_settings, write_session


def admit(name: str, password: str) -> User | None:
    """Check a login."""
    user, refusal = _try(name, password)
    if user is None or refusal:
        _record(user, "login.refused", refusal)
        return None
    kept = user.password_hash
    if kept and is_outdated(kept):
        renewed = hash_password(password)
        with write_session() as session:
            session.get_one(User, user.id).password_hash = renewed
    return user


def confirm(name: str, password: str) -> bool:
    """Check the password of a user who is logged in; wrong ones count, too."""
    user, refusal = _try(name, password)
    if refusal:
        _record(user, "password.refused", refusal)
    return not refusal


def admit_code(user: User, code: str) -> bool:
    """Check a code of the second factor. Wrong ones are counted apart from wrong passwords.

    Otherwise whoever knows the password could reset the count by giving it again.
    """
    counted = where_counted(user.name, "second factor")
    with write_session() as session:
        is_free = _begin_attempt(session, counted)
        key = current_context().secrets.session_key
        used = use_code(session, user, code, key=key) if is_free else None
        if used:
            forgive_attempts(session, counted)
        if used != "code":
            action = "code.refused" if used is None else "recovery-code.used"
            why = "" if used else "wrong code" if is_free else "locked"
            record(session, user_id=user.id, action=action, target=why)
    return used is not None


def set_password(session: Session, user: User, hashed: str) -> None:
    """End all sessions of that user, and a lock-out."""
    user.password_hash = hashed
    end_logins(user)
    for counted in {where_counted(user.name), counted_elsewhere(user.name)}:
        forgive_attempts(session, counted)
    session.flush()
    session.refresh(user)
    record(session, user_id=user.id, action="password.set", target=str(user.id))


def _try(name: str, password: str) -> tuple[User | None, str]:
    """The user of that name, and why they are refused: for the audit only, empty if accepted."""
    counted = where_counted(name)
    with HASHING.take():
        with write_session() as session:
            is_free = _begin_attempt(session, counted)
            user = find_user(session, normal_name(name))
        # Hashing is slow: no transaction is open here.
        fits = is_right(password, user.password_hash if user else None)
    refusal = _refusal(user, is_free=is_free, fits=fits)
    if not refusal:
        with write_session() as session:
            forgive_attempts(session, counted)
    return user, refusal


def _begin_attempt(session: Session, counted: str) -> bool:
    settings = current_settings()
    lockout = timedelta(seconds=settings.lockout_s)
    return begin_attempt(session, counted, failures=settings.lockout_failures, lockout=lockout)


def _refusal(user: User | None, *, is_free: bool, fits: bool) -> str:
    if user is None:
        return "unknown name"
    if not is_free:
        return "locked"
    if not fits:
        return "wrong password"
    return "" if user.is_active else "deactivated"


def _record(user: User | None, action: str, refusal: str) -> None:
    with write_session() as session:
        record(session, user_id=user.id if user else None, action=action, target=refusal)


LOGINS = "20 per minute; 200 per hour"
WRONG_TOKENS = parse("30 per minute")


class SteadyStorage(MemoryStorage):
    """Its windows end also where the clock was set back."""

    STORAGE_SCHEME = ["steady"]  # noqa: RUF012  the name in `storage_uri`

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        if self.expirations.get(key, 0.0) > time.time() + 2 * expiry:
            self.clear(key)
        return super().incr(key, expiry, amount)


limiter = Limiter(get_remote_address, storage_uri="steady://")


def count_wrong_token() -> bool:
    """False if this address has sent too many. A valid token always works."""
    return limiter.limiter.hit(WRONG_TOKENS, "wrong token", get_remote_address())
