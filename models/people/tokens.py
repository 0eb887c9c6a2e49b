"""API tokens and one-time links."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session, contains_eager

from models.base import now
from models.clock import CLOCKS_DIFFER_BY
from models.people.users import get_user
from models.query import update_rows
from models.tables.people import Role, Token, User

# A login link logs in once; an invitation lets its owner set a password.
LinkKind = Literal["login", "invitation"]
# Local: of this machine's command line.
TokenKind = Literal["api", "local"] | LinkKind


def issue_token(
    session: Session,
    *,
    user: User,
    kind: TokenKind,
    lifetime: timedelta | None = None,
    name: str | None = None,
    role: Role | None = None,
) -> str:
    """The token itself is known only to the caller; the row keeps its digest.

    role: limits what the token may do; None: all that the user may do.
    """
    token = secrets.token_urlsafe(32)
    row = Token(user_id=user.id, kind=kind, name=name, role=role, digest=digest_of(token))
    row.expires_at = now() + lifetime if lifetime is not None else None
    session.add(row)
    session.flush()
    return token


def find_api_token(session: Session, token: str) -> Token | None:
    """With its active user; also the local one."""
    query = select(Token).join(Token.user).where(*_valid(token, "api", "local"), User.is_active)
    return session.scalar(query.options(contains_eager(Token.user)))


def use_link(session: Session, token: str, kind: LinkKind) -> User | None:
    """Uses up the link. Needs a writing session."""
    # One conditional UPDATE: of two requests with the same link only one succeeds.
    used = (
        update(Token)
        .where(*_valid(token, kind), Token.used_at.is_(None))
        .values(used_at=now())
        .returning(Token.user_id)
        .execution_options(synchronize_session=False)
    )
    user_id = session.scalar(used)
    return get_user(session, user_id) if user_id is not None else None


def user_of_link(session: Session, token: str, kind: LinkKind) -> User | None:
    """The link is not used up."""
    query = select(User).join(Token, Token.user_id == User.id)
    return session.scalar(query.where(*_valid(token, kind), Token.used_at.is_(None)))


def invited_users(session: Session) -> set[int]:
    """Ids of users with an open invitation."""
    waiting = (Token.kind == "invitation", Token.used_at.is_(None), *_alive())
    return set(session.scalars(select(Token.user_id).where(*waiting)))


MAX_API_TOKENS = 50  # of one user: more are hardly in use


def has_room_for_api_token(session: Session, *, user_id: int) -> bool:
    return len(list_api_tokens(session, user_id=user_id)) < MAX_API_TOKENS


def list_api_tokens(session: Session, *, user_id: int) -> list[Token]:
    """Valid ones, newest first."""
    query = select(Token).where(Token.user_id == user_id, Token.kind == "api", *_alive())
    return list(session.scalars(query.order_by(Token.id.desc())))


def revoke_api_token(session: Session, *, token_id: int, user_id: int) -> bool:
    """False if the user has no such token, or it is revoked already."""
    ours = (Token.id == token_id, Token.user_id == user_id, Token.kind == "api")
    return _revoke(session, *ours) > 0


def revoke_tokens(session: Session, *, user_id: int, kinds: Sequence[TokenKind]) -> None:
    _revoke(session, Token.user_id == user_id, Token.kind.in_(kinds))


def _revoke(session: Session, *which: ColumnElement[bool]) -> int:
    return update_rows(session, Token, *which, Token.revoked_at.is_(None), revoked_at=now())


def _valid(token: str, *kinds: TokenKind) -> tuple[ColumnElement[bool], ...]:
    return (Token.digest == digest_of(token), Token.kind.in_(kinds), *_alive())


def _alive() -> tuple[ColumnElement[bool], ...]:
    moment = now()
    # A link that was made in the future would live on for as long as the clock was set back.
    is_lasting = Token.kind.in_(("api", "local"))
    return (
        or_(Token.expires_at.is_(None), Token.expires_at > moment),
        or_(is_lasting, Token.created_at <= moment + CLOCKS_DIFFER_BY),
        Token.revoked_at.is_(None),
    )


def digest_of(token: str) -> str:
    # Tokens are long and random, so a fast hash is enough.
    return hashlib.sha256(token.encode()).hexdigest()
