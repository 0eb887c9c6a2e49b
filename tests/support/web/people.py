"""Users with passwords, and browsers that log in."""

import html
import re
from datetime import timedelta
from functools import cache
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select

from models.people.passwords import hash_password
from models.people.users import make_user
from models.tables.people import Login, Role, User
from tests.support.web.portal import Portal, proof

PASSWORD = "quiet rooms at dusk"
ANOTHER = "seven grey pigeons"


@cache
def _hashed(password: str) -> str:
    """Hashing is slow on purpose, so each password is hashed once for all tests."""
    return hash_password(password)


def a_person(
    portal: Portal, name: str = "olga", *, role: Role = Role.OPERATOR, password: str = PASSWORD
) -> int:
    with portal.database.sessions.begin() as session:
        user = make_user(session, name=name, role=role)
        user.password_hash = _hashed(password)
        return user.id


def the_user(portal: Portal, user_id: int) -> User:
    with portal.database.sessions() as session:
        return session.get_one(User, user_id)


def enter(client: FlaskClient, name: str = "olga", password: str = PASSWORD, **more: str) -> Any:
    form = {"csrf_token": proof(client), "name": name, "password": password} | more
    return client.post("/login", data=form)


def entered(portal: Portal, name: str = "olga", password: str = PASSWORD) -> FlaskClient:
    client = portal.app.test_client()
    assert enter(client, name, password).status_code == 303
    return client


def submit(client: FlaskClient, path: str, *, page: str = "/account", **fields: str) -> Any:
    """Submit a form of that page with its CSRF token."""
    return client.post(path, data={"csrf_token": proof(client, page)} | fields)


def grow_stale(portal: Portal, by: timedelta = timedelta(minutes=11)) -> None:
    """As if the passwords of all sessions had been given so much earlier."""
    with portal.database.sessions.begin() as session:
        for login in session.scalars(select(Login)):
            login.confirmed_at -= by


def hidden_fields(page: str) -> dict[str, str]:
    """The form that a page keeps while it asks for the password."""
    form = page[page.index('class="fields"') :]
    found = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: html.unescape(value) for name, value in found}


def is_in(client: FlaskClient) -> bool:
    return client.get("/about").status_code == 200


def audited(portal: Portal) -> list[tuple[str, str]]:
    """Action and target of the audit rows, oldest first."""
    return [(row.action, row.target) for row in reversed(portal.audit())]
