"""Lockouts apply to unknown browsers, not to those in which the user has logged in before."""

import pytest
from flask.testing import FlaskClient

from tests.support.web.people import a_person, enter, is_in, submit
from tests.support.web.portal import Portal
from web.auth.known_browsers import COOKIE

FAILURES = 2  # below the default, because an address has twenty attempts a minute


@pytest.fixture(autouse=True)
def _lock_early(portal: Portal) -> None:
    portal.change_settings(lockout_failures=FAILURES)


def known(portal: Portal, *names: str) -> FlaskClient:
    """A browser in which these users have logged in and out."""
    browser = portal.app.test_client()
    for name in names:
        assert enter(browser, name).status_code == 303
        submit(browser, "/logout")
    return browser


def guess(browser: FlaskClient, name: str = "olga", *, times: int = FAILURES) -> None:
    for _ in range(times):
        assert enter(browser, name, "").status_code == 403  # counted, but not hashed


def can_log_in(browser: FlaskClient, name: str = "olga") -> bool:
    """Also logs out again."""
    enter(browser, name)
    succeeded = is_in(browser)
    if succeeded:
        submit(browser, "/logout")
    return succeeded


def test_lockout_by_strangers_spares_a_known_browser(portal: Portal) -> None:
    a_person(portal)
    known_browser, stranger = known(portal, "olga"), portal.app.test_client()
    guess(stranger)
    assert not can_log_in(stranger), "locked, even with the right password"
    assert can_log_in(known_browser, " Olga ")
    assert not can_log_in(portal.app.test_client()), "a login elsewhere does not end the lockout"


def test_known_browser_has_its_own_lockout(portal: Portal) -> None:
    a_person(portal)
    known_browser = known(portal, "olga")
    guess(known_browser)
    assert not can_log_in(known_browser)
    assert can_log_in(portal.app.test_client())


def test_browser_is_known_only_for_users_who_logged_in_with_it(portal: Portal) -> None:
    for name in ("olga", "oleg", "mallory"):
        a_person(portal, name)
    shared, other = known(portal, "olga", "oleg"), known(portal, "mallory")
    for name in ("olga", "oleg"):
        guess(other, name, times=FAILURES - 1)
        guess(portal.app.test_client(), name, times=1)
        assert not can_log_in(other, name), "failures of all other browsers are counted together"
        assert can_log_in(shared, name)


def test_forged_known_browser_cookie_is_ignored(portal: Portal) -> None:
    a_person(portal)
    cookie = known(portal, "olga").get_cookie(COOKIE)
    assert cookie is not None
    assert (cookie.http_only, cookie.same_site, cookie.max_age) == (True, "Lax", 180 * 24 * 3600)
    assert "olga" not in cookie.value
    guess(portal.app.test_client())
    payload, signature = cookie.value.rsplit(".", 1)
    for forged in (f"{payload}.{'x' * len(signature)}", payload, "x", ""):
        other = portal.app.test_client()
        other.set_cookie(COOKIE, forged)
        assert not can_log_in(other)
