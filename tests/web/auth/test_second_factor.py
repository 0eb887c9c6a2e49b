"""The second factor: set-up, login, recovery codes, removal, and who must have one."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from models.base import now
from models.people.second_factors import turn_on
from models.people.totp import code_at, derive_secret, step_at
from models.tables.people import Role, User
from tests.support.web.people import (
    PASSWORD,
    a_person,
    audited,
    enter,
    entered,
    grow_stale,
    hidden_fields,
    is_in,
    submit,
)
from tests.support.web.portal import Portal, follow_link, proof

NONCE = "a nonce"


def code(portal: Portal, apart: int = 0, *, nonce: str = NONCE) -> str:
    secret = derive_secret(nonce, key=portal.context.secrets.session_key)
    return code_at(secret, step_at(now()) + apart)


def nonce_of(browser: FlaskClient) -> str:
    """Of the secret that is shown."""
    with browser.session_transaction() as session:
        return str(session["totp_nonce"])


def a_person_with_factor(portal: Portal, role: Role = Role.OPERATOR) -> tuple[int, list[str]]:
    """Id and recovery codes."""
    user_id = a_person(portal, role=role)
    with portal.database.sessions.begin() as session:
        user = session.get_one(User, user_id)
        return user_id, turn_on(session, user, nonce=NONCE, step=step_at(now()) - 2)


def give(browser: FlaskClient, text: str, **more: str) -> Any:
    form = {"csrf_token": proof(browser, "/login/code"), "code": text}
    return browser.post("/login/code", data=form | more)


def test_set_up_shows_a_secret_and_asks_for_its_code(portal: Portal) -> None:
    user_id = a_person(portal)
    browser, elsewhere = entered(portal), entered(portal)
    assert "qr-code" not in browser.get("/account/second-factor").text
    shown = submit(browser, "/account/second-factor").location
    nonce = nonce_of(browser)
    assert "qr-code" in browser.get(shown).text
    assert nonce_of(browser) == nonce, "the secret stays while the page is open"
    on = "/account/second-factor/on"
    assert "Wrong code" in submit(browser, on, page=shown, code=code(portal)).text
    made = submit(browser, on, page=shown, code=code(portal, nonce=nonce))
    codes = re.findall(r"\b[a-z2-7]{4}(?:-[a-z2-7]{4}){3}\b", made.text)
    assert len(codes) == 10
    assert made.headers["Cache-Control"] == "no-store"
    assert is_in(browser)
    assert not is_in(elsewhere), "it began without the second factor"
    assert "10 recovery codes" in browser.get("/account").text
    assert ("second-factor.on", "") in audited(portal)
    with portal.database.sessions() as session:
        assert session.get_one(User, user_id).totp_nonce == nonce


def test_login_asks_for_a_code_that_works_once(portal: Portal) -> None:
    a_person_with_factor(portal)
    browser, other = portal.app.test_client(), portal.app.test_client()
    asked = enter(browser, next="/studies")
    assert (asked.status_code, asked.location) == (303, "/login/code?next=/studies")
    assert not is_in(browser)
    assert browser.get("/api/v1/jobs").status_code == 401
    assert give(browser, "000000").status_code == 403
    assert not is_in(browser)
    present = code(portal)
    assert give(browser, present, next="/studies").location == "/studies"
    assert is_in(browser)
    enter(other)
    assert give(other, present).status_code == 403, "it was used"
    assert not is_in(other)
    assert give(other, code(portal, 1)).status_code == 303
    assert audited(portal) == [
        ("code.refused", "wrong code"),
        ("login", ""),
        ("code.refused", "wrong code"),
        ("login", ""),
    ]


def test_links_and_new_passwords_do_not_replace_the_second_factor(portal: Portal) -> None:
    user_id, _ = a_person_with_factor(portal)
    made = portal.program(Role.ADMIN).post(f"/api/v1/users/{user_id}/link").json["link"]
    browser = portal.app.test_client()
    fields = {"password": PASSWORD, "again": PASSWORD}
    answer = follow_link(browser, made.partition("#")[2], path="/welcome", **fields)
    assert answer.location == "/login/code"
    assert not is_in(browser)
    assert give(browser, code(portal)).status_code == 303
    assert is_in(browser)


def test_pending_login_expires_and_ends_with_the_users_logins(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, _ = a_person_with_factor(portal)
    late, ended = portal.app.test_client(), portal.app.test_client()
    enter(ended)
    with portal.database.sessions.begin() as session:
        session.get_one(User, user_id).session_epoch += 1
    assert "took too long" in give(ended, code(portal)).text
    enter(late)
    monkeypatch.setattr("web.auth.pending_login.WITHIN_S", -1)
    assert "took too long" in give(late, code(portal)).text
    assert not is_in(late)


def test_guesses_are_locked_out_although_the_password_is_right(portal: Portal) -> None:
    a_person_with_factor(portal)
    for _ in range(portal.context.settings.lockout_failures):
        browser = portal.app.test_client()
        enter(browser)
        assert give(browser, "000000").status_code == 403
    browser = portal.app.test_client()
    enter(browser)
    assert give(browser, code(portal)).status_code == 403
    assert audited(portal)[-1] == ("code.refused", "locked")


def test_recovery_code_replaces_the_authenticator_once(portal: Portal) -> None:
    _, codes = a_person_with_factor(portal)
    browser, other = portal.app.test_client(), portal.app.test_client()
    enter(browser)
    assert give(browser, codes[0]).status_code == 303
    assert "9 recovery codes" in browser.get("/account").text
    enter(other)
    assert give(other, codes[0]).status_code == 403
    assert ("recovery-code.used", "") in audited(portal)
    made = submit(browser, "/account/second-factor/recovery-codes")
    assert codes[1] not in made.text
    assert give(other, codes[1]).status_code == 403


def test_user_turns_it_off_by_password_and_code(portal: Portal) -> None:
    a_person_with_factor(portal)
    browser = portal.app.test_client()
    enter(browser)
    give(browser, code(portal))
    grow_stale(portal)
    path = "/account/second-factor/off"
    asked = submit(browser, path)
    form = hidden_fields(asked.text) | {"reauthentication_password": PASSWORD}
    assert browser.post(path, data=form).status_code == 403
    assert browser.post(path, data=form | {"reauthentication_code": "1"}).status_code == 403
    right = form | {"reauthentication_code": code(portal, 1)}
    assert browser.post(path, data=right).status_code == 303
    assert ("second-factor.off", "") in audited(portal)
    assert is_in(entered(portal)), "the password is enough"


def test_admin_removes_it(portal: Portal) -> None:
    user_id, _ = a_person_with_factor(portal)
    admin = portal.browser(Role.ADMIN)
    assert "password and code" in admin.get("/users").text
    submit(admin, f"/users/{user_id}/second-factor/remove", page="/users")
    listed = portal.program(Role.ADMIN).get("/api/v1/users").json["users"]
    assert [user["has_second_factor"] for user in listed if user["id"] == user_id] == [False]
    submit(admin, f"/users/{user_id}/second-factor/remove", page="/users")
    assert audited(portal).count(("second-factor.removed", str(user_id))) == 1
    assert is_in(entered(portal))


@pytest.mark.parametrize("required", ["optional", "admins", "all"])
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_required_factor_is_set_up_first(portal: Portal, required: str, role: Role) -> None:
    portal.change_settings(second_factor=required)
    a_person(portal, role=role)
    browser, program = entered(portal), portal.program(role)
    is_asked = required == "all" or (required == "admins" and role == Role.ADMIN)
    assert is_in(browser) != is_asked
    assert program.get("/api/v1/jobs").status_code == 200, "tokens need none"
    if is_asked:
        assert browser.get("/studies").location == "/account/second-factor"
        assert browser.get("/api/v1/jobs").json["code"] == "second_factor_required"
        shown = submit(browser, "/account/second-factor", page="/account/second-factor").location
        given = code(portal, nonce=nonce_of(browser))
        submit(browser, "/account/second-factor/on", page=shown, code=given)
        assert is_in(browser)
        assert submit(browser, "/account/second-factor/off").status_code == 409


def test_stale_set_up_asks_for_the_password(portal: Portal) -> None:
    a_person(portal)
    browser = entered(portal)
    grow_stale(portal, timedelta(minutes=11))
    assert "Enter your password again" in submit(browser, "/account/second-factor").text
