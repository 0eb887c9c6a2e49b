"""Sessions of people, tokens of programs: from a request to who is asking."""

from dataclasses import dataclass, field
from datetime import datetime

from flask import Flask, Request, current_app, g, session
from flask_login import LoginManager, UserMixin, logout_user
from flask_login import login_user as _login_user
from sqlalchemy.orm import Session

from models.people.logins import begin_login, end_login, find_login
from models.people.tokens import find_api_token
from models.people.users import RANK, lesser_role
from models.tables.people import Role, User
from web.auth.credentials import count_wrong_token
from web.auth.known_browsers import remember_browser
from web.context import read_session, write_session

login_manager = LoginManager()


@dataclass(frozen=True)
class Person(UserMixin):  # type: ignore[misc]
    """A user as the portal knows one: free of the database session it was read in.

    role: the user's, or the token's where that may less. until: when the token expires.
    login: the secret of the browser's login; empty for a program.
    """

    id: int
    name: str
    role: Role
    until: datetime | None = None
    login: str = field(default="", repr=False)

    def may(self, role: Role | str) -> bool:
        return RANK[self.role] >= RANK[Role(role)]

    def get_id(self) -> str:
        """What the session keeps."""
        return self.login


def log_in(user: User) -> None:
    """In a session of its own: nothing that was there before it is taken over."""
    with write_session() as writing:
        _end(writing)
        secret = begin_login(writing, user, lasts=current_app.permanent_session_lifetime)
    session.clear()
    _login_user(Person(user.id, user.name, user.role, login=secret))
    remember_browser(user.name)


def log_out() -> None:
    """Also for whoever has a copy of the cookie."""
    with write_session() as writing:
        _end(writing)
    logout_user()
    session.clear()


def install_logins(app: Flask) -> None:
    login_manager.init_app(app)


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _person_of_session(secret: str) -> Person | None:
    with read_session() as reading:
        login = find_login(reading, secret)
    return Person(login.user.id, login.user.name, login.user.role, login=secret) if login else None


@login_manager.request_loader  # type: ignore[untyped-decorator]
def _person_of_token(incoming: Request) -> Person | None:
    kind, _, text = incoming.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text:
        return None
    with read_session() as reading:
        token = find_api_token(reading, text.strip())
    if token is None:
        g.tried_too_often = not count_wrong_token()
        return None
    g.came_with_token = True
    role = lesser_role(token.user.role, token.role)
    return Person(token.user.id, token.user.name, role, until=token.expires_at)


def _end(writing: Session) -> None:
    if secret := session.get("_user_id"):  # where Flask-Login keeps it
        end_login(writing, secret)
