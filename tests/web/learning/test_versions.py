"""Model versions in portal and API: proposals, promotion, rejection, roll-back, re-reading."""

import re
from typing import Any

from sqlalchemy.orm import Session

from models.learning.promotion import install_baseline, production_version
from models.tables.intake import ModelVersion
from models.tables.learning import Evaluation, Outcome
from models.tables.people import Role
from tests.support.data.nights import SAID, a_night, a_snapshot, a_trained_version
from tests.support.data.rows import a_job, an_image, live_version
from tests.support.web.pages import words
from tests.support.web.people import audited, submit
from tests.support.web.portal import Portal

CURVES = {
    "auroc": {"value": 0.91, "low": 0.88, "high": 0.94},
    "roc": [[0.0, 0.0], [0.25, 0.75], [1.0, 1.0]],
    "calibration": [
        {
            "mean_probability": 0.5,
            "frequency": {"value": 0.75, "low": 0.25, "high": 1.0},
            "images": 12,
        }
    ],
    "operating_points": {"balanced": {"sensitivity": {"value": 0.75}, "specificity": {"value": 1}}},
    "n": 40,
    "patients": 20,
}


def a_pair(difference: float) -> dict[str, Any]:
    """Figures of a candidate at 0.9 with confidence intervals."""
    return {
        "candidate": {"value": 0.9, "low": 0.8, "high": 1.0},
        "production": {"value": 0.9 - difference, "low": 0.8, "high": 1.0},
        "difference": {"value": difference, "low": difference - 0.01, "high": difference + 0.01},
    }


def a_decision() -> dict[str, Any]:
    compared = {
        "name": "site",
        "images": 40,
        "patients": 20,
        "pneumonia_patients": 12,
        "normal_patients": 11,
        "level": 0.95,
        **{name: a_pair(0.031) for name in ("auroc", "sensitivity", "specificity", "unanswered")},
    }
    gate = {"min_patients": 30, "auroc_margin": 0.02, "sensitivity_margin": 0.05}
    return {"is_yes": True, "gate": gate, "comparisons": [compared]}


def shipped(session: Session, portal: Portal) -> ModelVersion:
    install_baseline(session, data_dir=portal.database.settings.data_dir)
    return live_version(session)


def propose(portal: Portal, outcome: Outcome = Outcome.PROPOSED, name: str = "night-1") -> str:
    """Add a night that compared its candidate with the production version; return its name."""
    with portal.database.sessions.begin() as session:
        live = production_version(session) or shipped(session, portal)
        candidate = a_trained_version(session, portal.database.settings, name)
        snapshot = a_snapshot(session, of=name)
        a_night(session, outcome, candidate=candidate, snapshot=snapshot, decision=a_decision())
        for version in (candidate, live):
            session.add(
                Evaluation(
                    model_version_id=version.id,
                    snapshot_id=snapshot.id,
                    origin="site",
                    figures=CURVES,
                )
            )
        return live.name


def live_name(portal: Portal) -> str:
    return str(portal.program().get("/api/v1/model-versions").json["live"])


def test_versions_page_with_one_version_and_no_night(portal: Portal) -> None:
    assert "No model version is in production" in words(portal.browser(Role.ADMIN), "/versions")
    with portal.database.sessions.begin() as session:
        name = shipped(session, portal).name
    admin = portal.browser(Role.ADMIN)
    page = words(admin, "/versions")
    assert f"In production {name}" in page
    assert "is proposed to replace" not in page
    assert "Roll back" not in page, "there is nothing to go back to"
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    version = words(admin, f"/versions/{name}")
    assert re.search(f"Installed {date} ?; shipped with the project", version)
    assert re.search(f"Created {date}", version)
    assert name in words(admin, "/about")


def test_versions_page_compares_proposal_and_production(portal: Portal) -> None:
    live = propose(portal)
    browser = portal.browser(Role.VIEWER)
    page = words(browser, "/versions")
    assert f"night-1 is proposed to replace {live}" in page
    assert SAID[Outcome.PROPOSED][1:] in page
    assert "40 images of 20 patients: 12 with pneumonia images, 11 with normal images" in page
    assert "AUROC 0.900 0.869 +0.031 +0.021 to +0.041" in page
    html = browser.get("/versions").text
    assert html.count('<polyline class="curve candidate"') == 2, "ROC and calibration"
    assert html.count('<polyline class="curve production"') == 2
    assert 'points="0,100 25,25 100,0"' in html
    form = 'action="/versions/night-1/promote"'
    for role in (Role.VIEWER, Role.OPERATOR):
        html = portal.browser(role).get("/versions").text
        assert "An admin decides" in html
        assert form not in html
    assert form in portal.browser(Role.ADMIN).get("/versions").text


def test_forms_promote_and_roll_back(portal: Portal) -> None:
    live = propose(portal)
    admin = portal.browser(Role.ADMIN)
    moved = submit(admin, "/versions/night-1/promote", live=live, reason="it finds more")
    assert (moved.status_code, moved.location) == (303, "/versions")
    assert live_name(portal) == "night-1"
    page = words(admin, "/versions")
    assert "by a admin: it finds more" in page
    assert "is proposed to replace" not in page
    assert f"Roll back to {live}" in page
    moved = submit(admin, "/roll-back", live="night-1", reason="it finds too much")
    assert moved.status_code == 303
    assert live_name(portal) == live
    again = submit(admin, "/roll-back", live="night-1")
    assert again.status_code == 409
    assert f"Version {live} is live now, no longer night-1" in again.text
    assert "it finds too much" in words(admin, "/versions")
    assert {("version.promoted", "night-1"), ("version.rolled-back", live)} < set(audited(portal))


def test_api_promotes_a_refused_version_only_explicitly(portal: Portal) -> None:
    live = propose(portal, Outcome.REFUSED)
    admin, path = portal.program(Role.ADMIN), "/api/v1/model-versions/night-1/promote"
    refused = admin.post(path, json={})
    assert refused.status_code == 409
    assert refused.json["title"].startswith(SAID[Outcome.REFUSED])
    assert "despite_refusal" in refused.json["title"]
    page = portal.browser(Role.ADMIN).get("/versions/night-1").text
    assert 'name="despite_refusal" value="yes" required' in page
    moved = admin.post(path, json={"despite_refusal": True, "live": live})
    assert (moved.status_code, moved.json) == (200, {"live": "night-1", "back": live})
    history = admin.get("/api/v1/model-versions").json["history"]
    assert [entry["version"] for entry in history] == ["night-1", live]
    assert "against the gate" in history[0]["reason"]


def test_rejected_candidate_is_no_longer_proposed(portal: Portal) -> None:
    live = propose(portal)
    admin = portal.program(Role.ADMIN)
    assert admin.post("/api/v1/model-versions/night-1/reject", json={}).json["live"] == live
    listed = {
        one["name"]: one for one in admin.get("/api/v1/model-versions").json["model_versions"]
    }
    assert (listed["night-1"]["status"], listed[live]["status"]) == ("rejected", "live")
    assert not listed["night-1"]["is_production"]
    assert listed[live]["is_production"]
    assert "is proposed to replace" not in words(portal.browser(), "/versions")
    back = admin.post("/api/v1/roll-back", json={"live": live})
    assert back.status_code == 409
    assert "nothing to roll back to" in back.json["title"]


def test_version_page_links_night_snapshot_and_figures(portal: Portal) -> None:
    propose(portal)
    browser = portal.browser()
    html = browser.get("/versions/night-1").text
    assert 'href="/nights/1"' in html
    assert 'href="/snapshots/1"' in html
    page = words(browser, "/versions/night-1")
    assert "night-1 proposed" in page
    assert "site snapshot 1 40 20 0.910 0.880 to 0.940" in page
    assert "Operating point balanced , in use threshold 50 %" in page
    assert "In production Never." in page


def test_rereading_is_requested_once(portal: Portal) -> None:
    admin = portal.program(Role.ADMIN)
    assert admin.post("/api/v1/rereadings", json={}).status_code == 409, "nothing is live"
    with portal.database.sessions.begin() as session:
        name = shipped(session, portal).name
        an_image(session, a_job(session)).state = "predicted"  # type: ignore[assignment]
    for _ in range(2):
        started = admin.post("/api/v1/rereadings", json={})
        assert started.status_code == 202
        found = [started.json[field] for field in ("model_version", "done", "total")]
        assert found == [name, 0, 1]
    (one,) = portal.program(Role.VIEWER).get("/api/v1/rereadings").json["rereadings"]
    assert (one["finished_at"], one["is_waiting"]) == (None, False)
    assert "Earlier images re-read: 0 of 1" in words(portal.browser(), "/versions")
