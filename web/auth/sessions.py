"""Sessions of people and tokens of programs: who sent a request."""

from dataclasses import dataclass, field
from datetime import datetime

from flask import Flask, Request, current_app, g, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

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
    """A user, or a program with a user's token.

    role: the user's, or the token's if that is lower. until: when the token expires.
    login: the secret of the browser's session; empty for a program.
    """

    id: int
    name: str
    role: Role
    until: datetime | None = None
    login: str = field(default="", repr=False)

    def may(self, role: Role | str) -> bool:
        return RANK[self.role] >= RANK[Role(role)]

    def get_id(self) -> str:
        """The value that Flask-Login keeps in the cookie."""
        return self.login


def log_in(user: User) -> None:
    """Start a new session; an earlier one in this browser ends."""
    earlier = current_user.get_id()
    with write_session() as writing:
        if earlier:
            end_login(writing, earlier)
        secret = begin_login(writing, user, lasts=current_app.permanent_session_lifetime)
    session.clear()
    login_user(_set_person(Person(user.id, user.name, user.role, login=secret)))
    remember_browser(user.name)


def log_out() -> None:
    """End the session in the database, so that copies of the cookie are useless, too."""
    with write_session() as writing:
        end_login(writing, current_user.get_id() or "")
    logout_user()
    session.clear()


def install_logins(app: Flask) -> None:
    # Templates use `person`; the library's own variable would be looked up for every page.
    login_manager.init_app(app, add_context_processor=False)


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _person_of_session(secret: str) -> Person | None:
    with read_session() as reading:
        login = find_login(reading, secret)
    if login is None:
        return None
    return _set_person(Person(login.user.id, login.user.name, login.user.role, login=secret))


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
    return _set_person(Person(token.user.id, token.user.name, role, until=token.expires_at))


def _set_person(who: Person) -> Person:
    g.person = who
    return who
