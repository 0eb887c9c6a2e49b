"""Tables of users, second factors, tokens, logins and lock-outs."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, now, text_enum


class Role(StrEnum):
    """In rising order: each role may do what the ones before it may."""

    VIEWER = "viewer"
    READER = "reader"
    OPERATOR = "operator"
    ADMIN = "admin"


class User(Base):
    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    role: Mapped[Role] = mapped_column(text_enum(Role))
    is_active: Mapped[bool] = mapped_column(default=True)
    password_hash: Mapped[str | None] = mapped_column(String(200))  # argon2; None: links only
    # Copied into logins; increasing it ends all of them.
    session_epoch: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(default=now)
    # Second factor: the secret follows from the nonce and the installation's key. None: off.
    totp_nonce: Mapped[str | None] = mapped_column(String(64))
    totp_step: Mapped[int | None]  # of the latest code that was used


class RecoveryCode(Base):
    """Stands in once for the code of a lost authenticator; deleted when it is used."""

    __tablename__ = "recovery_code"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)


class Token(Base):
    """A secret that identifies a user. Only its SHA-256 is kept."""

    __tablename__ = "token"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    kind: Mapped[str] = mapped_column(String(16))  # models.people.tokens.TokenKind
    name: Mapped[str | None] = mapped_column(String(80))  # given by its owner
    # Limits what it may do. None: all that its owner may do.
    role: Mapped[Role | None] = mapped_column(text_enum(Role))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()


class Login(Base):
    """A browser session. Of the secret in its cookie only the SHA-256 is kept."""

    __tablename__ = "login"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    epoch: Mapped[int]  # the user's session_epoch at login; the login ends when it changes
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(default=now)  # used by a person, not by a poll
    confirmed_at: Mapped[datetime] = mapped_column(default=now)  # password given, or link used

    user: Mapped[User] = relationship()


class Lockout(Base):
    """Wrong passwords for a name, whether or not a user has that name."""

    __tablename__ = "lockout"

    name_hash: Mapped[str] = mapped_column(String(64), primary_key=True)  # keyed
    failures: Mapped[int] = mapped_column(default=0)
    failed_at: Mapped[datetime]
    locked_until: Mapped[datetime | None]
