"""Sessions end after a time without activity, and polling is none."""

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select

from models.tables.people import Login
from tests.support.web.people import is_in
from tests.support.web.portal import Portal, proof


def pass_time(portal: Portal, passed: timedelta) -> None:
    """Age all sessions as if nobody had used them for so long."""
    with portal.database.sessions.begin() as session:
        for login in session.scalars(select(Login)):
            login.seen_at -= passed
            login.confirmed_at -= passed


def use(portal: Portal, browser: FlaskClient, method: str, path: str) -> bool:
    """Use that path just before the session's end; whether the session is alive afterwards."""
    csrf = {"X-CSRFToken": proof(browser, "/account")}
    pass_time(portal, timedelta(minutes=119))
    assert browser.open(path, method=method, headers=csrf).status_code < 404
    pass_time(portal, timedelta(minutes=2))
    return is_in(browser)


def test_session_ends_without_activity(portal: Portal) -> None:
    browser = portal.browser()
    assert use(portal, browser, "GET", "/studies")
    assert use(portal, browser, "POST", f"/api/v1/jobs/{portal.new_job()}/close")
    pass_time(portal, timedelta(minutes=121))
    assert not is_in(browser)


def test_polling_does_not_keep_a_session_alive(portal: Portal) -> None:
    job = portal.new_job()
    assert not use(portal, portal.browser(), "GET", f"/api/v1/jobs/{job}")
    assert not use(portal, portal.browser(), "HEAD", f"/api/v1/jobs/{job}")


def test_idle_time_is_a_setting(portal: Portal) -> None:
    portal.change_settings(session_idle_minutes=5)
    browser = portal.browser()
    pass_time(portal, timedelta(minutes=4))
    assert is_in(browser)
    pass_time(portal, timedelta(minutes=6))
    assert not is_in(browser)


def test_activity_is_written_seldom(portal: Portal) -> None:
    browser = portal.browser()
    with portal.database.sessions() as session:
        before = session.scalars(select(Login.seen_at)).one()
    assert is_in(browser)
    with portal.database.sessions() as session:
        assert session.scalars(select(Login.seen_at)).one() == before
