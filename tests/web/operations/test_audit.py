"""The audit page, its check and exports, and which requests write rows."""

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from models.audit.log import record
from models.base import now
from models.tables.intake import Audit
from models.tables.people import Role
from tests.support.data.rows import a_user
from tests.support.servers.databases import both_databases
from tests.support.web.portal import Portal, proof


@pytest.fixture
def recorded(portal: Portal) -> Portal:
    with portal.database.sessions.begin() as session:
        anna, ben = a_user(session, name="anna"), a_user(session, name="ben")
        for number in range(3):
            record(session, user_id=anna.id, action="study.viewed", target=str(number))
        record(session, user_id=ben.id, action="results.exported", target="=all")
        record(session, user_id=None, action="login.bad")
    return portal


def _targets(portal: Portal, query: str = "") -> list[str]:
    page = portal.browser(Role.ADMIN).get(f"/audit{query}")
    assert page.status_code == 200, page.text
    return re.findall(r'<td class="target">(.*?)</td>', page.text)


def test_audit_page_shows_rows_newest_first_and_the_verdict(recorded: Portal) -> None:
    page = recorded.browser(Role.ADMIN).get("/audit").text
    assert re.findall(r'<th class="number" scope="row">(\d+)</th>', page) == list("654321")
    assert "<strong>Verified.</strong> 6 rows, up to row 6; checked" in page
    assert "not logged in" in page


@both_databases
def test_audit_page_filters_by_action_person_and_date(recorded: Portal) -> None:
    with recorded.database.sessions.begin() as session:
        long_ago = now() - timedelta(days=40)
        session.execute(update(Audit).where(Audit.id == 1).values(created_at=long_ago))
    lately = (long_ago + timedelta(days=1)).date().isoformat()
    assert _targets(recorded, "?action=study.viewed") == ["2", "1", "0"]
    assert _targets(recorded, "?person=ben&action=&since=") == ["=all"]
    assert _targets(recorded, f"?action=study.viewed&since={lately}") == ["2", "1"]
    assert _targets(recorded, f"?until={long_ago.date().isoformat()}") == ["0"]
    assert _targets(recorded, "?since=9999-12-31") == _targets(recorded, "?until=0001-01-01") == []
    assert _targets(recorded, "?person=nobody") == []


def test_audit_pages_start_after_or_end_before_a_row(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.operations.audit.PAGE_SIZE", 2)
    with portal.database.sessions.begin() as session:
        for number in range(5):
            record(session, user_id=None, action="test.done", target=f"target {number}")
    browser = portal.browser(Role.ADMIN)

    def shown(query: str) -> list[str]:
        page = browser.get(f"/audit?action=test.done{query}").text
        return re.findall(r'class="target">target (\d)<', page)

    page = browser.get("/audit?action=test.done").text
    (after,) = re.findall(r'rel="next" href="/audit\?action=test.done&amp;after=(\d+)"', page)
    assert "5 rows match" in page
    assert 'rel="prev"' not in page
    assert (shown(""), shown(f"&after={after}"), shown("&page=3")) == (
        ["4", "3"],
        ["2", "1"],
        ["0"],
    )
    last = browser.get(f"/audit?action=test.done&after={int(after) - 2}").text
    assert 'rel="next"' not in last
    (before,) = re.findall(r"before=(\d+)", last)
    assert shown(f"&before={before}") == ["2", "1"]
    assert shown(f"&before={after}") == ["4", "3"], "a whole page"
    assert shown("&after=99999") == ["4", "3"], "no such row"


def test_many_audit_rows_of_several_filters_are_not_counted(
    recorded: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = recorded.browser(Role.ADMIN)
    assert "Many rows" not in browser.get("/audit?since=2026-01-01").text
    monkeypatch.setattr("models.audit.lists.MOST_COUNTED", 1)
    assert "Many rows match" in browser.get("/audit?since=2026-01-01").text


@pytest.mark.parametrize("query", ["since=2026-02-30", "person=%00", "page=0"])
def test_audit_rejects_invalid_filters(recorded: Portal, query: str) -> None:
    assert recorded.program(Role.ADMIN).get(f"/audit?{query}").status_code == 422
    if "page" not in query:
        assert recorded.program(Role.ADMIN).get(f"/api/v1/audit?{query}").status_code == 422


def test_audit_check_reports_tampering(recorded: Portal) -> None:
    browser = recorded.browser(Role.ADMIN)
    with recorded.database.sessions.begin() as session:
        session.execute(update(Audit).where(Audit.id == 3).values(target="another"))
    form = {"csrf_token": proof(browser, "/audit")}
    answer = browser.post("/audit/check", data=form, follow_redirects=True)
    assert "Audit chain verification failed at row 3:" in answer.text
    assert "Only the 2 rows up to row 2 can be trusted" in answer.text
    check = recorded.program(Role.ADMIN).post("/api/v1/audit/check").json
    assert (check["is_intact"], check["broken"], check["rows"]) == (False, 3, 2)
    assert [row.action for row in recorded.audit()[:2]] == ["audit.checked", "audit.checked"]


def test_audit_exports_contain_every_row_and_no_formula(recorded: Portal) -> None:
    client = recorded.program(Role.ADMIN)
    table = client.get("/api/v1/audit?format=csv&person=ben")
    (row,) = csv.DictReader(io.StringIO(table.text, newline=""))
    assert (row["person"], row["action"], row["target"]) == ("ben", "results.exported", "'=all")
    lines = client.get("/api/v1/audit").text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == list(range(1, 8))
    assert rows[0].keys() == {"id", "created_at", "person", "action", "target", "digest"}
    assert [row["action"] for row in rows[-2:]] == ["audit.exported", "audit.exported"]
    assert rows[4]["person"] is None


def test_image_views_are_audited_once_per_user_and_image(portal: Portal, a_png: bytes) -> None:
    portal.send(portal.new_job(), ("folder/one.png", a_png), ("folder/two.png", a_png + b" "))
    portal.read_all()
    first, second = (image.id for image in portal.images())
    page, program = portal.browser(Role.READER), portal.program(Role.VIEWER)
    page.get("/studies/1")
    for client in (page, program):
        for rendering in ("display", "overlay.png", "heatmap.png"):
            for image in (first, second):
                assert client.get(f"/api/v1/images/{image}/{rendering}").status_code == 200
    portal.program(Role.OPERATOR).get(f"/api/v1/images/{first}/thumbnail")
    views = [(row.action, row.target) for row in portal.audit() if ".viewed" in row.action]
    assert views == [("image.viewed", str(first)), ("study.viewed", "1")]


def test_job_views_are_audited_once_per_user(portal: Portal) -> None:
    job = portal.new_job()
    program, page = portal.program(Role.VIEWER), portal.browser(Role.READER)
    page.get(f"/jobs/{job}")
    for client in (program, page):
        for files in ("images", "uploads", "images?page=2"):
            assert client.get(f"/api/v1/jobs/{job}/{files}").status_code == 200
    views = [row.target for row in portal.audit() if row.action == "job.viewed"]
    assert views == [job, job]  # one each
