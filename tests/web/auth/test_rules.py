"""Who gets in, and to what."""

import re
from datetime import timedelta
from typing import Any

import pytest

from models.tables.people import Role
from tests.support.web.portal import Portal, send


def test_a_viewer_may_look_but_not_send(portal: Portal) -> None:
    viewer = portal.program(Role.VIEWER)
    assert viewer.get("/api/v1/jobs").status_code == 200
    assert viewer.post("/api/v1/jobs", json={"name": "x"}).status_code == 403
    assert b'id="upload"' not in portal.browser(Role.VIEWER).get("/").data
    assert b'id="upload"' in portal.browser(Role.OPERATOR).get("/").data


def test_a_link_logs_in_once(portal: Portal) -> None:
    link = "/login?token=" + portal.token(kind="login", lifetime=timedelta(minutes=1))
    first, second = portal.app.test_client(), portal.app.test_client()
    assert first.get(link).location == "/"
    assert first.get("/").status_code == 200
    refused = second.get(link)
    assert refused.status_code == 403
    assert b"This link no longer works" in refused.data
    assert b"overread login-link" in refused.data
    assert second.get("/").status_code == 302


def test_an_expired_link_and_an_api_token_do_not_log_in(portal: Portal) -> None:
    expired = portal.token(kind="login", lifetime=timedelta(seconds=-1))
    for token in (expired, portal.token(kind="api"), "x"):
        assert portal.app.test_client().get(f"/login?token={token}").status_code == 403


def test_looking_ahead_does_not_use_the_link_up(portal: Portal) -> None:
    client = portal.app.test_client()
    link = "/login?token=" + portal.token(kind="login", lifetime=timedelta(minutes=1))
    assert client.get(link, headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 503
    assert client.head(link).status_code == 503
    assert client.get("/").status_code == 302
    assert client.get(link).status_code == 302
    assert client.get("/").status_code == 200


def test_guessing_is_slowed_down(portal: Portal) -> None:
    client = portal.app.test_client()
    codes = {client.get(f"/login?token={number}").status_code for number in range(25)}
    assert codes == {403, 429}


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(portal: Portal) -> None:
    link = "/login?token=" + portal.token(kind="login", lifetime=timedelta(minutes=1))
    plain = portal.app.test_client().get(link).headers["Set-Cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    assert "Secure" not in plain
    link = "/login?token=" + portal.token(kind="login", lifetime=timedelta(minutes=1))
    secure = portal.app.test_client().get(link, base_url="https://reading.room")
    assert "Secure" in secure.headers["Set-Cookie"]


def csrf_token(page: str) -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("base_url", ["http://localhost", "https://reading.room"])
def test_a_cookie_alone_changes_nothing(portal: Portal, a_png: bytes, base_url: str) -> None:
    browser = portal.app.test_client()
    options: dict[str, Any] = {"base_url": base_url}
    link = "/login?token=" + portal.token(kind="login", lifetime=timedelta(minutes=1))
    browser.get(link, **options)
    token = csrf_token(browser.get("/", **options).text)
    options["headers"] = {"Referer": f"{base_url}/"}
    forged = browser.post("/api/v1/jobs", json={"name": "x"}, **options)
    assert forged.status_code == 400
    options["headers"] = options["headers"] | {"X-CSRFToken": token}
    made = browser.post("/api/v1/jobs", json={"name": "x"}, **options)
    assert made.status_code == 201
    sent = send(browser, made.json["id"], ("a.png", a_png), **options)
    assert sent.status_code == 200
    assert browser.post("/logout", base_url=base_url).status_code == 400


def test_logging_out_ends_the_session(portal: Portal) -> None:
    browser = portal.browser()
    token = csrf_token(browser.get("/").text)
    left = browser.post("/logout", data={"csrf_token": token})
    assert left.location == "/login"
    assert left.headers["Clear-Site-Data"] == '"cache"'
    assert browser.get("/").status_code == 302


def test_a_user_who_was_shut_out_is_out_at_once(portal: Portal) -> None:
    from tests.support.data.rows import a_user

    browser, program = portal.browser(), portal.program()
    with portal.database.sessions.begin() as session:
        a_user(session, name="a operator", role=Role.OPERATOR).is_active = False
    assert browser.get("/").status_code == 302
    assert program.get("/api/v1/jobs").status_code == 401


def test_what_was_done_is_written_down(portal: Portal, a_dicom: bytes) -> None:
    job = portal.new_job()
    portal.send(job, ("a.dcm", a_dicom))
    portal.read_all()
    browser = portal.browser()
    browser.get("/studies/1")
    browser.get("/api/v1/results?format=csv")
    portal.app.test_client().get("/login?token=wrong")
    written = [(row.action, row.target) for row in reversed(portal.audit())]
    assert written == [
        ("job.created", job),
        ("files.received", job),
        ("login", "link"),
        ("study.viewed", "1"),
        ("results.exported", "all"),
        ("login.refused", "link"),
    ]
