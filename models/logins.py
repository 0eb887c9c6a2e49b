"""Logins: browsers that somebody came in with, until each is ended."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session, contains_eager

from models.base import now
from models.people_tables import Login, User
from models.tokens import digest_of


def begin_login(session: Session, user: User, *, lasts: timedelta) -> str:
    """The secret for the cookie, which nobody else learns.

    user: as it was when it was let in; where its logins have been ended since, so is this one.
    """
    secret = secrets.token_urlsafe(32)
    session.add(
        Login(
            user_id=user.id,
            epoch=user.session_epoch,
            digest=digest_of(secret),
            expires_at=now() + lasts,
        )
    )
    return secret


def find_login(session: Session, secret: str) -> Login | None:
    """With its user, who may still come in."""
    query = select(Login).join(Login.user).where(Login.digest == digest_of(secret), *_alive())
    return session.scalar(query.options(contains_eager(Login.user)))


def list_logins(session: Session, *, user_id: int) -> Sequence[Login]:
    """Those that still count, newest first."""
    query = select(Login).join(Login.user).where(Login.user_id == user_id, *_alive())
    return session.scalars(query.order_by(Login.id.desc())).all()


def end_login(session: Session, secret: str) -> None:
    session.execute(delete(Login).where(Login.digest == digest_of(secret)))


def delete_expired_logins(session: Session) -> None:
    session.execute(delete(Login).where(Login.expires_at <= now()))


def _alive() -> tuple[ColumnElement[bool], ...]:
    return (Login.expires_at > now(), Login.epoch == User.session_epoch, User.is_active.is_(True))
