"""Users and the secrets that stand for them."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from models.tables import Role, Token, User, now

ADMIN = "admin"
RANK = {role: rank for rank, role in enumerate(Role)}  # each may do what the ones below may
TokenKind = Literal["api", "login"]


def find_user(session: Session, name: str) -> User | None:
    return session.scalar(select(User).where(User.name == name))


def get_user(session: Session, user_id: int) -> User | None:
    """None for a user who may no longer come in."""
    return session.scalar(select(User).where(User.id == user_id, User.is_active))


def user_names(session: Session, user_ids: Iterable[int | None]) -> dict[int, str]:
    """Also of those who may no longer come in."""
    wanted = {user_id for user_id in user_ids if user_id is not None}
    rows = session.execute(select(User.id, User.name).where(User.id.in_(wanted)))
    return {row.id: row.name for row in rows}


def make_user(session: Session, *, name: str, role: Role) -> User:
    user = User(name=name, role=role)
    session.add(user)
    session.flush()
    return user


def issue_token(
    session: Session, *, user: User, kind: TokenKind, lifetime: timedelta | None = None
) -> str:
    """The token itself is known only to the caller; the row keeps its digest."""
    token = secrets.token_urlsafe(32)
    expires_at = now() + lifetime if lifetime is not None else None
    session.add(Token(user_id=user.id, kind=kind, digest=_digest(token), expires_at=expires_at))
    session.flush()
    return token


def user_of_token(session: Session, token: str, kind: TokenKind) -> User | None:
    """A login token is used up by this; that needs a writing session. An API token is only read."""
    user_id = _use_login(session, token) if kind == "login" else _find_api(session, token)
    return get_user(session, user_id) if user_id is not None else None


def _find_api(session: Session, token: str) -> int | None:
    return session.scalar(select(Token.user_id).where(*_valid(token, "api")))


def _use_login(session: Session, token: str) -> int | None:
    # One conditional UPDATE: of two requests with the same link, one gets in.
    used = (
        update(Token)
        .where(*_valid(token, "login"), Token.used_at.is_(None))
        .values(used_at=now())
        .returning(Token.user_id)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(used)


def _valid(token: str, kind: TokenKind) -> tuple[ColumnElement[bool], ...]:
    return (
        Token.digest == _digest(token),
        Token.kind == kind,
        or_(Token.expires_at.is_(None), Token.expires_at > now()),
    )


def _digest(token: str) -> str:
    # Tokens are random and long, so a plain hash is as good as a slow one.
    return hashlib.sha256(token.encode()).hexdigest()
