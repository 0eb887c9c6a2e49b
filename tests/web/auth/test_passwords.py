"""Login by name and password, sessions, and password changes."""

import re
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from models.people.passwords import is_outdated, is_right
from models.tables.people import Login, User
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
from tests.support.web.portal import Portal, follow_link, proof


def test_login_redirects_to_the_requested_page_of_this_portal(portal: Portal) -> None:
    a_person(portal)
    browser = portal.app.test_client()
    asked = browser.get("/studies?finding=pneumonia")
    assert asked.location == "/login?next=/studies?finding%3Dpneumonia"
    assert 'name="next" value="/studies?finding=pneumonia"' in browser.get(asked.location).text
    answer = enter(browser, " Olga ", next="/studies?finding=pneumonia")
    assert answer.location == "/studies?finding=pneumonia"
    assert is_in(browser)
    assert audited(portal) == [("login", "")]
    foreign = {"next": "//evil.example"}
    assert "evil" not in portal.app.test_client().get("/login", query_string=foreign).text
    assert enter(portal.app.test_client(), **foreign).location == "/"


def test_login_refusals_are_indistinguishable(portal: Portal) -> None:
    a_person(portal)
    inactive = a_person(portal, "oleg")
    with portal.database.sessions.begin() as session:
        session.get_one(User, inactive).is_active = False
    tried = {
        "unknown name": ("nobody", PASSWORD),
        "wrong password": ("olga", ANOTHER),
        "deactivated": ("oleg", PASSWORD),
    }
    refusals = {why: _refusal(portal, *tried) for why, tried in tried.items()}
    refusals["locked"] = _lock(portal)
    assert len(set(refusals.values())) == 1, refusals
    assert [target for _, target in audited(portal)][:3] == list(tried)


def _refusal(portal: Portal, name: str, password: str) -> tuple[int, str]:
    """Without the CSRF token and the name, which the form repeats."""
    browser = portal.app.test_client()
    answer = enter(browser, name, password)
    assert not is_in(browser)
    assert not password or password not in answer.text
    return answer.status_code, re.sub(r' value="[^"]*"', "", answer.text)


def _lock(portal: Portal) -> tuple[int, str]:
    """Lock the name by wrong passwords; return the refusal of the right one."""
    for _ in range(4):  # one more failed before; an empty one is counted, but not hashed
        _refusal(portal, "olga", "")
    return _refusal(portal, "olga", PASSWORD)


def test_login_renews_an_outdated_password_hash(portal: Portal) -> None:
    user_id = a_person(portal)
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with portal.database.sessions.begin() as session:
        session.get_one(User, user_id).password_hash = old
    _refusal(portal, "olga", ANOTHER)
    assert the_user(portal, user_id).password_hash == old
    entered(portal)
    renewed = the_user(portal, user_id).password_hash
    assert renewed is not None
    assert not is_outdated(renewed)
    assert is_right(PASSWORD, renewed)


def test_login_attempts_are_rate_limited_by_address(portal: Portal) -> None:
    browser = portal.app.test_client()
    form = {"csrf_token": proof(browser), "name": "olga", "password": ""}
    answers = [browser.post("/login", data=form) for _ in range(21)]
    assert {answer.status_code for answer in answers[:20]} == {403}
    assert answers[20].status_code == 429
    assert "Wait a minute, then try again." in answers[20].text
    assert answers[20].headers["Retry-After"] == "60"


def test_login_starts_a_new_session(portal: Portal) -> None:
    a_person(portal)
    browser = portal.app.test_client()
    before = proof(browser)
    with browser.session_transaction() as session:
        session["planted"] = "by somebody else"
    enter(browser)
    assert is_in(browser)
    with browser.session_transaction() as session:
        assert "planted" not in session
    assert browser.post("/logout", data={"csrf_token": before}).status_code == 400


def test_active_session_expires_after_session_hours(portal: Portal) -> None:
    browser = portal.browser()
    hours = portal.context.settings.session_hours
    make_logins_older(portal, timedelta(hours=hours, minutes=-1))
    assert is_in(browser)
    make_logins_older(portal, timedelta(minutes=2))
    assert not is_in(browser)


def make_logins_older(portal: Portal, by: timedelta) -> None:
    with portal.database.sessions.begin() as session:
        for login in session.scalars(select(Login)):
            login.created_at -= by
            login.expires_at -= by


def test_logout_invalidates_copied_cookies(portal: Portal) -> None:
    a_person(portal)
    browser, elsewhere, thief = entered(portal), entered(portal), portal.app.test_client()
    copied = browser.get_cookie("overread")
    assert copied is not None
    thief.set_cookie("overread", copied.value)
    assert is_in(thief)
    left = submit(browser, "/logout")
    assert (left.status_code, left.location) == (303, "/login")
    assert left.headers["Clear-Site-Data"] == '"cache"'
    assert not is_in(browser)
    assert not is_in(thief)
    assert is_in(elsewhere)


def test_second_login_replaces_the_first_in_a_browser(portal: Portal) -> None:
    browser = portal.browser()
    assert follow_link(browser, portal.token(kind="login")).status_code == 303
    with portal.database.sessions() as session:
        assert len(session.scalars(select(Login)).all()) == 1


def test_account_page_counts_logins_and_ends_them_everywhere(portal: Portal) -> None:
    a_person(portal)
    here = entered(portal)
    assert "only in this browser" in here.get("/account").text
    there = entered(portal)
    assert "in one other browser" in here.get("/account").text
    assert submit(here, "/account/leave").location == "/login"
    assert not is_in(here)
    assert not is_in(there)
    assert "only in this browser" in entered(portal).get("/account").text


def test_password_change_ends_other_sessions_and_the_lockout(portal: Portal) -> None:
    user_id = a_person(portal)
    here, there = entered(portal), entered(portal)
    for _ in range(portal.context.settings.lockout_failures):
        enter(portal.app.test_client(), "olga", "")
    fields = {"current": PASSWORD, "password": ANOTHER, "again": ANOTHER}
    assert submit(here, "/account/password", **fields).status_code == 303
    assert is_in(here)
    assert not is_in(there)
    assert is_right(ANOTHER, the_user(portal, user_id).password_hash)
    assert ("password.set", str(user_id)) in audited(portal)
    assert is_in(entered(portal, "olga", ANOTHER))


@pytest.mark.parametrize(
    "change",
    [
        {"current": "not my password"},
        {"again": "something else"},
        {"password": "short", "again": "short"},
        {"password": "radiology1234", "again": "radiology1234"},
    ],
)
def test_password_change_requires_the_current_and_a_strong_password(
    portal: Portal, change: dict[str, str]
) -> None:
    user_id = a_person(portal)
    before = the_user(portal, user_id).password_hash
    fields = {"current": PASSWORD, "password": ANOTHER, "again": ANOTHER} | change
    answer = submit(entered(portal), "/account/password", **fields)
    assert answer.status_code == 422
    assert 'class="refusal"' in answer.text
    assert the_user(portal, user_id).password_hash == before


def test_login_by_link_allows_setting_a_first_password(portal: Portal) -> None:
    browser = portal.browser()
    assert "Current password" not in browser.get("/account").text
    submit(browser, "/account/password", password=ANOTHER, again=ANOTHER)
    assert is_in(browser)
    assert is_in(entered(portal, "a operator", ANOTHER))
    assert "Current password" in browser.get("/account").text


def test_anonymous_request_size_is_limited(portal: Portal) -> None:
    big = {"name": "x" * 200_000, "password": ""}
    for path in ("/login", "/welcome"):
        assert portal.app.test_client().post(path, data=big).status_code == 413
