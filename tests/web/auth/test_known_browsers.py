"""Others who guess lock a name for strangers' browsers, not for one that it has logged in with."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.web.people import ANOTHER, a_person, enter, entered, is_in, submit
from tests.support.web.portal import Portal
from web.auth.known_browsers import COOKIE

LOCKS = 2  # fewer than by default: an address has twenty tries a minute


@pytest.fixture(autouse=True)
def _locks_soon(portal: Portal) -> None:
    portal.change_settings(lockout_failures=LOCKS)


def known(portal: Portal, *names: str) -> FlaskClient:
    """A browser that those people have logged in with, and out."""
    browser = portal.app.test_client()
    for name in names:
        assert enter(browser, name).status_code == 302
        submit(browser, "/logout")
    return browser


def guess(browser: FlaskClient, name: str = "olga", *, times: int = LOCKS) -> None:
    for _ in range(times):
        assert enter(browser, name, "").status_code == 403  # counts, and costs nothing


def gets_in(browser: FlaskClient, name: str = "olga") -> bool:
    """And out again."""
    enter(browser, name)
    came_in = is_in(browser)
    if came_in:
        submit(browser, "/logout")
    return came_in


def test_lockout_by_strangers_spares_a_known_browser(portal: Portal) -> None:
    a_person(portal)
    hers, strangers = known(portal, "olga"), portal.app.test_client()
    guess(strangers)
    assert not gets_in(strangers), "the right password helps no stranger"
    assert gets_in(hers, " Olga ")
    assert not gets_in(portal.app.test_client()), "that she came in allows no new guesses"


def test_known_browser_has_its_own_lockout(portal: Portal) -> None:
    a_person(portal)
    hers = known(portal, "olga")
    guess(hers)
    assert not gets_in(hers)
    assert gets_in(portal.app.test_client())


def test_browser_is_known_only_for_users_who_logged_in_with_it(portal: Portal) -> None:
    for name in ("olga", "oleg", "mallory"):
        a_person(portal, name)
    shared, other = known(portal, "olga", "oleg"), known(portal, "mallory")
    for name in ("olga", "oleg"):
        guess(other, name, times=LOCKS - 1)
        guess(portal.app.test_client(), name, times=1)
        assert not gets_in(other, name), "guesses from everywhere else are counted together"
        assert gets_in(shared, name)


def test_forged_known_browser_cookie_is_ignored(portal: Portal) -> None:
    a_person(portal)
    value = cookie(known(portal, "olga")).value
    assert "olga" not in value
    guess(portal.app.test_client())
    said, signature = value.rsplit(".", 1)
    for forged in (f"{said}.{'x' * len(signature)}", said, "x", ""):
        thief = portal.app.test_client()
        thief.set_cookie(COOKIE, forged)
        assert not gets_in(thief)


def test_password_change_ends_the_lockout(portal: Portal) -> None:
    a_person(portal)
    hers = entered(portal)
    guess(portal.app.test_client())
    fields = {"current": "quiet rooms at dusk", "password": ANOTHER, "again": ANOTHER}
    assert submit(hers, "/account/password", **fields).status_code == 303
    assert enter(portal.app.test_client(), "olga", ANOTHER).status_code == 302


def test_known_browser_cookie_is_http_only_and_same_site(portal: Portal) -> None:
    a_person(portal)
    found = cookie(known(portal, "olga"))
    assert found.http_only
    assert found.same_site == "Lax"
    assert found.max_age == 180 * 24 * 3600


def cookie(browser: FlaskClient) -> Any:
    found = browser.get_cookie(COOKIE)
    assert found is not None
    return found
