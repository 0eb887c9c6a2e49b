"""Login links, sessions, CSRF tokens, and the audit of a session."""

from datetime import timedelta
from typing import Any

import pytest

from models.tables.people import Role
from tests.support.web.people import audited
from tests.support.web.portal import Portal, follow_link, proof, send


def test_front_page_offers_what_the_role_may_use(portal: Portal) -> None:
    pages = [
        portal.browser(role).get("/").text for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
    ]
    assert ['id="upload"' in page for page in pages] == [False, True, True]
    assert ['href="/users"' in page for page in pages] == [False, False, True]


def test_login_link_works_once_and_is_not_used_up_by_looking_at_it(portal: Portal) -> None:
    link = portal.token(kind="login")
    first, second = portal.app.test_client(), portal.app.test_client()
    for method in ("GET", "HEAD"):
        assert first.open("/login/link", method=method).status_code == 200
    assert first.get("/").status_code == 302
    assert follow_link(first, link).location == "/"
    assert first.get("/").status_code == 200
    refused = follow_link(second, link)
    assert refused.status_code == 403
    assert b"This link no longer works" in refused.data
    assert b"overread login-link" in refused.data
    assert second.get("/").status_code == 302


def test_pasted_links_work_with_and_without_the_address(portal: Portal) -> None:
    for form in ("{}", " http://localhost:8000/login/link#{}\n", "/login/link#{}"):
        pasted = form.format(portal.token(kind="login"))
        answer = follow_link(portal.app.test_client(), pasted, next="/studies")
        assert (answer.status_code, answer.location) == (303, "/studies")


def test_links_of_earlier_releases_lead_to_the_fragment(portal: Portal) -> None:
    browser = portal.app.test_client()
    for path, leads_to in (
        ("/login?token=a-b_c", "/login/link#a-b_c"),
        ("/login?token=a-b_c&next=/studies", "/login/link?next=/studies#a-b_c"),
        ("/welcome?token=a-b_c", "/welcome#a-b_c"),
    ):
        answer = browser.get(path)
        assert (answer.status_code, answer.location) == (303, leads_to)
        assert answer.headers["Cache-Control"] == "no-store"


def test_expired_links_and_tokens_of_another_kind_are_refused(portal: Portal) -> None:
    expired = portal.token(kind="login", lifetime=timedelta(seconds=-1))
    api, login, invitation = (portal.token(kind=kind) for kind in ("api", "login", "invitation"))
    for token in (expired, api, invitation, "x"):
        assert follow_link(portal.app.test_client(), token).status_code == 403
    for token in (login, invitation):
        assert portal.client_with(token).get("/api/v1/jobs").status_code == 401
    for token in (api, login):
        browser = portal.app.test_client()
        assert follow_link(browser, token, path="/welcome").status_code == 410


def test_login_links_are_rate_limited(portal: Portal) -> None:
    client = portal.app.test_client()
    form = {"csrf_token": proof(client)}
    codes = {client.post("/login/link", data=form).status_code for _ in range(25)}
    assert codes == {403, 429}


@pytest.mark.parametrize("base_url", ["http://localhost", "https://reading.room"])
def test_session_cookie_is_guarded_and_needs_a_csrf_token_to_change_data(
    portal: Portal, a_png: bytes, base_url: str
) -> None:
    browser = portal.app.test_client()
    options: dict[str, Any] = {"base_url": base_url}
    form = {"csrf_token": proof(browser, **options), "token": portal.token(kind="login")}
    from_here = options | {"headers": {"Referer": f"{base_url}/"}}
    cookies = browser.post("/login/link", data=form, **from_here).headers.getlist("Set-Cookie")
    assert len(cookies) == 2, "of the session, and of the known browser"
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert ("Secure" in cookie) == base_url.startswith("https")
    token = proof(browser, "/account", **options)
    options["headers"] = {"Referer": f"{base_url}/"}
    forged = browser.post("/api/v1/jobs", json={"name": "x"}, **options)
    assert forged.status_code == 400
    options["headers"] = options["headers"] | {"X-CSRFToken": token}
    made = browser.post("/api/v1/jobs", json={"name": "x"}, **options)
    assert made.status_code == 201
    sent = send(browser, made.json["id"], ("a.png", a_png), **options)
    assert sent.status_code == 200
    assert browser.post("/logout", base_url=base_url).status_code == 400


def test_audit_names_jobs_and_studies_but_no_files(portal: Portal, a_dicom: bytes) -> None:
    job, client = portal.new_job(), portal.program()
    declared = {"files": [{"file": "Mustermann.dcm", "size": len(a_dicom)}]}
    assert client.post(f"/api/v1/jobs/{job}/uploads", json=declared).status_code == 200
    portal.send(job, ("Mustermann.dcm", a_dicom))
    portal.read_all()
    browser = portal.browser()
    browser.get("/studies/1")
    browser.get("/api/v1/results?format=csv")
    browser.get(f"/api/v1/results?job_id={job}")
    follow_link(portal.app.test_client(), "wrong")
    assert audited(portal) == [
        ("job.created", job),
        ("files.declared", job),
        ("files.received", job),
        ("login", "link"),
        ("study.viewed", "1"),
        ("results.exported", "all"),
        ("results.exported", job),
        ("login.refused", "link"),
    ]
