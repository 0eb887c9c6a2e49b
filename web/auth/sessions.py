"""Sessions of people and tokens of programs: who sent a request."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, Request, current_app, g, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from models.base import now
from models.people.logins import begin_login, end_login, find_login, note_activity
from models.people.tokens import find_api_token
from models.people.users import RANK, lesser_role
from models.session import AWAY
from models.tables.people import Role, User
from web.auth.credentials import count_wrong_token
from web.auth.known_browsers import remember_browser
from web.context import current_settings, read_session, write_session

login_manager = LoginManager()


@dataclass(frozen=True)
class Person(UserMixin):  # type: ignore[misc]
    """A user, or a program with a user's token.

    role: the user's, or the token's if that is lower. until: when the token expires.
    login: the secret of the browser's session; empty for a program.
    seen_at, confirmed_at: the session's last activity, and when the password was last given.
    """

    id: int
    name: str
    role: Role
    until: datetime | None = None
    login: str = field(default="", repr=False)
    has_password: bool = False
    has_second_factor: bool = False
    seen_at: datetime | None = None
    confirmed_at: datetime | None = None

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
    login_user(_set_person(_person(user, login=secret, seen_at=now(), confirmed_at=now())))
    remember_browser(user.name)


def idle_time() -> timedelta:
    return timedelta(minutes=current_settings().session_idle_minutes)


def keep_alive(who: Person) -> None:
    """Note the session's activity, at most sixty times in the time after which it would end."""
    if who.seen_at is None or abs(now() - who.seen_at) < idle_time() / 60:
        return
    with suppress(*AWAY), write_session() as writing:  # pages are shown without it
        note_activity(writing, who.login)


def must_set_up_second_factor(who: Person) -> bool:
    """Programs, whose tokens are long and random, need none."""
    return is_second_factor_required(who.role) and bool(who.login) and not who.has_second_factor


def is_second_factor_required(role: Role) -> bool:
    required = current_settings().second_factor
    return required == "all" or (required == "admins" and role == Role.ADMIN)


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
        login = find_login(reading, secret, idle=idle_time())
    if login is None:
        return None
    times = {"seen_at": login.seen_at, "confirmed_at": login.confirmed_at}
    return _set_person(_person(login.user, login=secret, **times))


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
    # The local token is renewed for as long as the service runs.
    until = token.expires_at if token.kind == "api" else None
    return _set_person(Person(token.user.id, token.user.name, role, until=until))


def _person(user: User, **session_: Any) -> Person:
    return Person(
        user.id,
        user.name,
        user.role,
        has_password=user.password_hash is not None,
        has_second_factor=user.totp_nonce is not None,
        **session_,
    )


def _set_person(who: Person) -> Person:
    g.person = who
    return who
