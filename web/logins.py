"""Sessions of people, tokens of programs: from a request to who is asking."""

import time
from dataclasses import dataclass
from datetime import datetime

from flask import Flask, Request, current_app, g, session
from flask_login import LoginManager, UserMixin
from flask_login import login_user as _login_user

from models.tables import Role, User
from models.tokens import find_api_token
from models.users import RANK, get_user, lesser_role
from web.rates import count_wrong_token
from web.services import services

login_manager = LoginManager()


@dataclass(frozen=True)
class Person(UserMixin):  # type: ignore[misc]
    """A user as the portal knows one: free of the database session it was read in.

    role: the user's, or the token's where that may less. until: when the token expires.
    """

    id: int
    name: str
    role: Role
    epoch: int
    until: datetime | None = None

    def may(self, role: Role | str) -> bool:
        return RANK[self.role] >= RANK[Role(role)]

    def get_id(self) -> str:
        """What the session keeps. Another epoch of the user, and it no longer counts."""
        return f"{self.id}:{self.epoch}"


def log_in(user: User) -> None:
    """In a session of its own: nothing that was there before it is taken over."""
    session.clear()
    session["begun"] = int(time.time())
    _login_user(_person(user))


def install_logins(app: Flask) -> None:
    login_manager.init_app(app)


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _person_of_session(kept: str) -> Person | None:
    user_id, _, epoch = kept.partition(":")
    # Counted from the login on, however busy the session is.
    lifetime_s = current_app.permanent_session_lifetime.total_seconds()
    if time.time() - session.get("begun", 0) > lifetime_s:
        return None
    with services().sessions() as reading:
        user = get_user(reading, int(user_id))
    return _person(user) if user and str(user.session_epoch) == epoch else None


@login_manager.request_loader  # type: ignore[untyped-decorator]
def _person_of_token(incoming: Request) -> Person | None:
    kind, _, text = incoming.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text:
        return None
    with services().sessions() as reading:
        token = find_api_token(reading, text.strip())
    if token is None:
        g.tried_too_often = not count_wrong_token()
        return None
    g.came_with_token = True
    return _person(token.user, scope=token.role, until=token.expires_at)


def _person(user: User, *, scope: Role | None = None, until: datetime | None = None) -> Person:
    role = lesser_role(user.role, scope)
    return Person(user.id, user.name, role, user.session_epoch, until)
