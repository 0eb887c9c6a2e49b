"""Logins of browsers, and lock-outs after wrong passwords.

Wrong passwords are counted by name, whether or not a user has that name.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session, contains_eager

from models.base import now
from models.clock import CLOCKS_DIFFER_BY
from models.people.tokens import digest_of
from models.people.users import normal_name
from models.query import insert_new, update_rows
from models.tables.people import Lockout, Login, User


def begin_login(session: Session, user: User, *, lasts: timedelta) -> str:
    """The secret for the cookie; only its hash is kept.

    user: as read when the password was checked: if its logins were ended since, so is this one.
    """
    secret = secrets.token_urlsafe(32)
    login = Login(user_id=user.id, epoch=user.session_epoch, digest=digest_of(secret))
    login.expires_at = now() + lasts
    session.add(login)
    return secret


def find_login(session: Session, secret: str, *, idle: timedelta) -> Login | None:
    """With its active user. None after the time without activity (`idle`)."""
    query = select(Login).join(Login.user).where(Login.digest == digest_of(secret), *_alive(idle))
    return session.scalar(query.options(contains_eager(Login.user)))


def list_logins(session: Session, *, user_id: int, idle: timedelta) -> Sequence[Login]:
    """Valid ones, newest first."""
    query = select(Login).join(Login.user).where(Login.user_id == user_id, *_alive(idle))
    return session.scalars(query.order_by(Login.id.desc())).all()


def note_activity(session: Session, secret: str) -> None:
    update_rows(session, Login, Login.digest == digest_of(secret), seen_at=now())


def confirm_login(session: Session, secret: str) -> None:
    """The password was given again."""
    update_rows(session, Login, Login.digest == digest_of(secret), confirmed_at=now())


def end_login(session: Session, secret: str) -> None:
    session.execute(delete(Login).where(Login.digest == digest_of(secret)))


def delete_expired_logins(session: Session) -> None:
    session.execute(delete(Login).where(Login.expires_at <= now()))


def _alive(idle: timedelta) -> tuple[ColumnElement[bool], ...]:
    moment = now()
    return (
        Login.expires_at > moment,
        # Not far in the future either: after a clock was set back, people log in again.
        Login.seen_at.between(moment - idle, moment + idle),
        Login.epoch == User.session_epoch,
        User.is_active.is_(True),
    )


KEPT = timedelta(days=1)


def name_hash(name: str, *, key: str) -> str:
    """Keyed, because people sometimes type a password as the name."""
    plain = f"lockout {normal_name(name)}"
    return hmac.new(key.encode(), plain.encode(), hashlib.sha256).hexdigest()


def begin_attempt(session: Session, hashed: str, *, failures: int, lockout: timedelta) -> bool:
    """Counts as wrong until `forgive_attempts`, so that parallel guesses count too.

    After `failures` in a row the name is locked for `lockout`. False while it is locked.
    """
    moment = now()
    session.execute(delete(Lockout).where(Lockout.failed_at < moment - max(KEPT, lockout)))
    new = {"name_hash": hashed, "failures": 0, "failed_at": moment, "locked_until": None}
    insert_new(session, Lockout, [new])
    row = session.get_one(Lockout, hashed, with_for_update=True, populate_existing=True)
    # Not longer than a lock-out lasts, should the clock have been set back.
    latest = moment + lockout + CLOCKS_DIFFER_BY
    if row.locked_until is not None and moment < row.locked_until <= latest:
        return False
    is_over = row.locked_until is not None or abs(moment - row.failed_at) > lockout
    row.failures = 1 if is_over else row.failures + 1
    row.failed_at = moment
    row.locked_until = moment + lockout if row.failures >= failures else None
    return True


def forgive_attempts(session: Session, hashed: str) -> None:
    session.execute(delete(Lockout).where(Lockout.name_hash == hashed))
