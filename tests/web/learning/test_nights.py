"""Nights in portal and API: outcomes, progress, starting and cancelling."""

from models.base import now
from models.tables.learning import Answer, Outcome
from models.tables.people import Role
from tests.support.data.nights import a_night, a_snapshot
from tests.support.data.rows import a_version
from tests.support.web.pages import words
from tests.support.web.people import submit
from tests.support.web.portal import Portal


def test_nights_page_before_the_first_night(portal: Portal) -> None:
    page = words(portal.browser(Role.VIEWER), "/nights")
    assert "No nights yet" in page
    assert "Next:" in page
    assert "Run now" not in page
    listed = portal.program().get("/api/v1/nights").json
    assert (listed["nights"], listed["next"]) == ([], None)
    assert listed["next_due"]
    portal.change_settings(night_at="")
    assert "Scheduled nights are off" in words(portal.browser(), "/nights")
    assert portal.program().get("/api/v1/nights").json["next_due"] is None


def test_operator_starts_and_cancels_one_night_at_a_time(portal: Portal) -> None:
    operator, browser = portal.program(), portal.browser()
    started = operator.post("/api/v1/nights", json={})
    assert started.status_code == 202
    assert (started.json["stage"], started.json["asked_by"]) == ("waiting", "a operator")
    assert operator.post("/api/v1/nights", json={}).json["id"] == started.json["id"]
    assert [row.action for row in portal.audit()].count("night.asked") == 2
    html = browser.get("/nights").text
    assert f'data-night="{started.json["id"]}"' in html
    assert "Run now" not in html
    path = f"/api/v1/nights/{started.json['id']}/cancel"
    ended = operator.post(path, json={}).json
    assert (ended["is_open"], ended["outcome"]) == (False, "cancelled")
    assert operator.post(path, json={}).json == ended
    again = submit(browser, "/nights")
    assert (again.status_code, again.location) == (303, "/nights/2")
    assert "Cancel night" in words(browser, "/nights/2")
    assert submit(browser, "/nights/2/cancel").location == "/nights/2"
    assert "Night 2 cancelled" in words(browser, "/nights/2")


def test_running_night_shows_its_progress(portal: Portal) -> None:
    with portal.database.sessions.begin() as session:
        a_night(session, None, stage="training", share=0.25, progress="epoch 1 of 4")
    night = portal.program().get("/api/v1/nights/1").json
    assert (night["stage"], night["share"], night["progress"]) == ("training", 0.25, "epoch 1 of 4")
    assert (night["is_open"], night["words"]) == (True, "training")
    html = portal.browser().get("/nights/1").text
    assert '<li data-stage="training" aria-current="step">' in html
    assert 'max="1" value="0.25"' in html
    assert "night.js" in html
    for role in (Role.VIEWER, Role.READER):
        assert "Cancel" not in words(portal.browser(role), "/nights/1")


def test_night_outcomes_are_described(portal: Portal) -> None:
    with portal.database.sessions.begin() as session:
        version = a_version(session)
        drift = {
            "words": "nothing has moved",
            "model_version": version.name,
            "recent": {"images": 12},
            "reference": {"images": 340},
        }
        a_night(session, Outcome.NOTHING, drift=drift)
        a_night(
            session,
            Outcome.REFUSED,
            candidate=a_version(session, name="night-2", is_live=False),
            snapshot=a_snapshot(session),
            answer=Answer.PROMOTED,
            answered_at=now(),
        )
        a_night(session, Outcome.FAILED, candidate=None)
    browser = portal.browser()
    page = words(browser, "/nights")
    assert "nothing to learn Only 3 new labels came, 20 are needed. Nothing has moved." in page
    assert "refused by the gate, promoted by an admin Refused: on the site's" in page
    assert "failed It stopped its worker 3 times." in page
    assert "Images 12 340" in words(browser, "/nights/1")
    one = words(browser, "/nights/2")
    assert f"Candidate night-2 Production {version.name}" in one
    assert "snapshot 1" in one
    assert "Not measured" in one
