"""Users: invitation, roles, deactivation, and the users page."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from models.base import now
from models.tables.people import Role, Token
from tests.support.web.people import (
    ANOTHER,
    PASSWORD,
    a_person,
    audited,
    enter,
    entered,
    is_in,
    submit,
    the_user,
)
from tests.support.web.portal import Portal, follow_link


def invited(portal: Portal, name: str = "olga", role: str = "reader") -> tuple[int, str]:
    """Id and link."""
    made = portal.program(Role.ADMIN).post("/api/v1/users", json={"name": name, "role": role})
    assert made.status_code == 201, made.text
    return made.json["user"]["id"], made.json["link"]


def accept(client: FlaskClient, link: str, password: str = PASSWORD, again: str = PASSWORD) -> Any:
    token = link.removeprefix("/welcome#")
    return follow_link(client, token, path="/welcome", password=password, again=again)


def view(client: FlaskClient, link: str) -> Any:
    return follow_link(client, link.removeprefix("/welcome#"), path="/welcome")


def test_invited_user_sets_a_password_and_logs_in(portal: Portal) -> None:
    user_id, link = invited(portal, " Olga ")
    browser = portal.app.test_client()
    assert "Your user name is <strong>olga" in view(browser, link).text
    assert accept(browser, link).location == "/"
    assert "olga · reader" in browser.get("/").text
    assert enter(portal.app.test_client(), "olga", PASSWORD).status_code == 303
    assert audited(portal) == [
        ("user.added", str(user_id)),
        ("password.set", str(user_id)),
        ("login", "invitation"),
        ("login", ""),
    ]


def test_users_page_keeps_a_refused_name_and_shows_the_link_once(portal: Portal) -> None:
    admin = portal.browser(Role.ADMIN)
    answer = submit(admin, "/users", page="/users", name="Dr. Olga", role="reader")
    assert answer.status_code == 409
    assert 'role="alert">A name has only letters' in answer.text
    assert 'value="Dr. Olga"' in answer.text
    assert "<option selected>reader</option>" in answer.text
    assert "New link" in answer.text, "the page of all users"
    made = submit(admin, "/users", page="/users", name="olga", role="operator")
    assert "/welcome#" in made.text
    assert "One-time link for olga" in made.text
    listed = admin.get("/users").text
    assert "/welcome#" not in listed
    assert "one-time link, not used yet" in listed


def test_invitation_works_once_and_viewing_does_not_use_it_up(portal: Portal) -> None:
    _, link = invited(portal)
    browser = portal.app.test_client()
    for _ in range(2):
        assert view(browser, link).status_code == 200
    assert accept(browser, link, "short", "short").status_code == 422
    assert accept(browser, link, PASSWORD, ANOTHER).status_code == 422
    assert accept(browser, link).status_code == 303
    other = portal.app.test_client()
    assert view(other, link).status_code == 410
    assert accept(other, link, ANOTHER, ANOTHER).status_code == 410
    assert not is_in(other)
    assert audited(portal)[-2:] == [("login.refused", "invitation")] * 2


def test_invitation_expires_and_is_replaced_by_a_newer_one(portal: Portal) -> None:
    user_id, first = invited(portal)
    second = portal.program(Role.ADMIN).post(f"/api/v1/users/{user_id}/link").json["link"]
    browser = portal.app.test_client()
    assert view(browser, first).status_code == 410
    assert view(browser, second).status_code == 200
    with portal.database.sessions.begin() as session:
        session.execute(update(Token).values(expires_at=now() - timedelta(seconds=1)))
    assert view(browser, second).status_code == 410
    assert "no valid link" in portal.browser(Role.ADMIN).get("/users").text
    assert accept(browser, second).status_code == 410


@pytest.mark.parametrize("name", ["olga", "OLGA", "two words", "<script>", "../x", "-x", "\u200b"])
def test_taken_and_invalid_user_names_are_refused(portal: Portal, name: str) -> None:
    invited(portal)
    answer = portal.program(Role.ADMIN).post("/api/v1/users", json={"name": name, "role": "reader"})
    assert answer.status_code == 409
    assert answer.json["title"].startswith(("a name has only", "this name is taken"))


def test_deactivation_ends_sessions_and_tokens_for_good(portal: Portal) -> None:
    user_id = a_person(portal)
    browser = entered(portal)
    made = submit(browser, "/account/tokens", name="x", role="viewer", days="7").text
    program = portal.client_with(made.partition("data-secret>")[2].partition("<")[0])
    assert program.get("/api/v1/jobs").status_code == 200
    admin = portal.browser(Role.ADMIN)
    submit(admin, f"/users/{user_id}", page="/users", is_active="no")
    assert not is_in(browser)
    assert program.get("/api/v1/jobs").status_code == 401
    assert enter(portal.app.test_client()).status_code == 403
    submit(admin, f"/users/{user_id}", page="/users", is_active="yes")
    assert not is_in(browser)
    assert program.get("/api/v1/jobs").status_code == 401
    assert is_in(entered(portal))
    changes = [row for row in audited(portal) if row[0].startswith("user.")]
    assert changes == [("user.deactivated", str(user_id)), ("user.activated", str(user_id))]


def test_role_change_ends_the_session_but_the_same_role_does_not(portal: Portal) -> None:
    user_id = a_person(portal, role=Role.ADMIN)
    browser = entered(portal)
    program = portal.program(Role.ADMIN)
    for body in ({}, {"role": "admin"}, {"is_active": True}):
        assert program.patch(f"/api/v1/users/{user_id}", json=body).status_code == 200
    assert is_in(browser)
    assert not [row for row in audited(portal) if row[0].startswith("user.")]
    changed = program.patch(f"/api/v1/users/{user_id}", json={"role": "viewer"})
    assert changed.json["role"] == "viewer"
    assert not is_in(browser)
    assert entered(portal).get("/users").status_code == 403
    assert ("user.role-changed", str(user_id)) in audited(portal)


def test_last_admin_and_first_user_cannot_be_removed(portal: Portal) -> None:
    program = portal.program(Role.ADMIN)
    (last,) = (user["id"] for user in program.get("/api/v1/users").json["users"])
    assert_kept(program, last, "last admin")
    first = a_person(portal, "admin", role=Role.ADMIN)
    assert_kept(program, first, "this machine")
    assert the_user(portal, first).role == Role.ADMIN
    assert program.patch(f"/api/v1/users/{last}", json={"role": "reader"}).status_code == 200


def assert_kept(program: FlaskClient, user_id: int, why: str) -> None:
    for body in ({"role": "reader"}, {"is_active": False}):
        answer = program.patch(f"/api/v1/users/{user_id}", json=body)
        assert answer.status_code == 409
        assert why in answer.json["title"]


def test_user_list_contains_no_password_hashes(portal: Portal) -> None:
    user_id = a_person(portal)
    listed = portal.program(Role.ADMIN).get("/api/v1/users")
    assert [user["name"] for user in listed.json["users"]] == ["a admin", "olga"]
    kept = the_user(portal, user_id).password_hash
    assert kept is not None
    assert kept.startswith("$argon2id$")
    assert "argon2" not in listed.text + portal.browser(Role.ADMIN).get("/users").text


def test_links_ignore_the_host_header(portal: Portal) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    made = portal.program(Role.ADMIN).post(
        "/api/v1/users", json={"name": "olga", "role": "reader"}, headers=headers
    )
    assert made.json["link"].startswith("/welcome#")
    assert "evil" not in made.text
    asked = portal.app.test_client().get("/studies", headers=headers)
    assert asked.location == "/login?next=/studies"
    for path in ("/jobs//x", "/api/v1//jobs"):
        assert portal.app.test_client().get(path, headers=headers).status_code == 404
