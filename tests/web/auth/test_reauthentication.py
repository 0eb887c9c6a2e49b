"""Critical actions ask for the password again when the last one is older than ten minutes."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from models.tables.people import Role, User
from tests.support.web.people import (
    ANOTHER,
    PASSWORD,
    a_person,
    audited,
    entered,
    grow_stale,
    hidden_fields,
    submit,
)
from tests.support.web.portal import Portal, proof
from tests.support.web.routes import walk
from tests.web.auth.test_roles import CHANGING
from web.auth.rules import RECENT

ASKING = {
    "POST /account/second-factor",
    "POST /account/second-factor/off",
    "POST /account/second-factor/on",
    "POST /account/second-factor/recovery-codes",
    "POST /api/v1/users/<int:user_id>/second-factor/remove",
    "POST /users/<int:user_id>/second-factor/remove",
    "POST /account/tokens",
    "POST /api/v1/model-versions/<name>/promote",
    "POST /api/v1/purges",
    "POST /api/v1/roll-back",
    "POST /api/v1/tokens",
    "POST /api/v1/users",
    "PATCH /api/v1/users/<int:user_id>",
    "POST /api/v1/users/<int:user_id>/link",
    "POST /roll-back",
    "POST /users",
    "POST /users/<int:user_id>",
    "POST /users/<int:user_id>/link",
    "POST /versions/<name>/promote",
}
ADA = {"name": "ada", "role": "reader"}


def an_admin(portal: Portal) -> FlaskClient:
    """Whose password was given eleven minutes ago."""
    a_person(portal, "olga", role=Role.ADMIN)
    browser = entered(portal)
    grow_stale(portal)
    return browser


def users(portal: Portal) -> list[str]:
    with portal.database.sessions() as session:
        return list(session.scalars(select(User.name)))


def test_exactly_these_routes_ask(portal: Portal) -> None:
    views = portal.app.view_functions
    asking = {
        route.table_key
        for route in walk(portal)
        if RECENT in views[route.endpoint].__dict__ and route.method in CHANGING
    }
    assert asking == ASKING


@pytest.mark.parametrize("route", sorted(ASKING))
def test_route_asks_sessions_but_not_tokens(portal: Portal, route: str) -> None:
    browser, program = an_admin(portal), portal.program(Role.ADMIN)
    (walked,) = [one for one in walk(portal) if one.table_key == route]
    headers = {"X-CSRFToken": proof(browser, "/account")}
    answer = browser.open(walked.path, method=walked.method, headers=headers)
    assert answer.status_code == 403
    if walked.path.startswith("/api/"):
        assert answer.json["code"] == "reauthentication_required"
    else:
        assert "Enter your password again" in answer.text
    asked = program.open(walked.path, method=walked.method)
    assert "password" not in asked.text


def test_form_is_kept_until_the_password_is_right(portal: Portal) -> None:
    browser = an_admin(portal)
    typed = {"name": 'ada <&"> ', "role": "reader"}
    asked = submit(browser, "/users", page="/users", **typed)
    assert asked.status_code == 403
    assert typed.items() <= hidden_fields(asked.text).items()
    wrong = again(browser, asked, ANOTHER)
    assert wrong.status_code == 403
    assert "Wrong password" in wrong.text
    assert PASSWORD not in wrong.text
    assert ANOTHER not in wrong.text
    assert typed.items() <= hidden_fields(wrong.text).items()
    assert again(browser, wrong, PASSWORD).status_code == 409, "the view sees the form itself"
    assert submit(browser, "/users", page="/users", **ADA).status_code == 200, "not asked again"
    assert "ada" in users(portal)
    assert ("password.refused", "wrong password") in audited(portal)


def again(browser: FlaskClient, asked: Any, password: str) -> Any:
    form = hidden_fields(asked.text) | {"reauthentication_password": password}
    return browser.post("/users", data=form)


def test_wrong_passwords_lock_it(portal: Portal) -> None:
    browser = an_admin(portal)
    asked = submit(browser, "/users", page="/users", **ADA)
    for _ in range(portal.context.settings.lockout_failures):
        assert again(browser, asked, "").status_code == 403
    assert again(browser, asked, PASSWORD).status_code == 403
    assert "ada" not in users(portal)


def test_confirmation_from_a_clock_set_back_is_not_recent(portal: Portal) -> None:
    browser = an_admin(portal)
    grow_stale(portal, -timedelta(days=1))
    assert submit(browser, "/users", page="/users", **ADA).status_code == 403


def test_stale_login_by_link_needs_a_new_link(portal: Portal) -> None:
    browser = portal.browser(Role.ADMIN)
    grow_stale(portal)
    asked = submit(browser, "/users", page="/users", **ADA)
    assert asked.status_code == 403
    assert "log in with a new one-time link" in asked.text
    refused = submit(browser, "/account/password", password=ANOTHER, again=ANOTHER)
    assert refused.status_code == 422
    assert "one-time link" in refused.text
