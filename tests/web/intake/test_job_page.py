"""The job page without scripts: its text and controls."""

from models.tables.people import Role
from tests.support.web.portal import Portal


def declare(portal: Portal, job_id: str, *files: str) -> None:
    files_json = [{"file": file, "size": 5, "sha256": ""} for file in files]
    answer = portal.program().post(f"/api/v1/jobs/{job_id}/uploads", json={"files": files_json})
    assert answer.status_code == 200, answer.text


def page(portal: Portal, job_id: str, *, role: Role = Role.OPERATOR) -> str:
    answer = portal.browser(role).get(f"/jobs/{job_id}")
    assert answer.status_code == 200
    return str(answer.text)


def act(portal: Portal, job_id: str, what: str, **body: str) -> None:
    assert portal.program().post(f"/api/v1/jobs/{job_id}/{what}", json=body).status_code == 200


def test_interrupted_job_offers_to_resume_but_not_to_readers(portal: Portal) -> None:
    job_id = portal.new_job()
    declare(portal, job_id, "a.dcm", "b.dcm")
    as_operator, as_reader = page(portal, job_id), page(portal, job_id, role=Role.READER)
    for text in (as_operator, as_reader):
        assert 'data-count="missing">2</span> of <span data-count="declared">2</span>' in text
    for part in ("upload.js", 'id="folder"', 'data-act="close-without"', 'data-act="cancel"'):
        assert part in as_operator
    for part in ("upload.js", 'id="folder"', "data-act"):
        assert part not in as_reader
    assert "2 of 2 files missing" in portal.browser().get("/").text


def test_closed_job_shows_that_files_are_missing(portal: Portal) -> None:
    job_id = portal.new_job()
    declare(portal, job_id, "a.dcm", "b.dcm")
    act(portal, job_id, "close", missing="give_up")
    assert "Finished, incomplete: 2 of 2 declared files never arrived" in page(portal, job_id)
    assert "2 of 2 files never arrived" in portal.browser().get("/").text


def test_cancelled_job_offers_a_retry(portal: Portal, a_png: bytes) -> None:
    job_id = portal.new_job()
    portal.send(job_id, ("a.png", a_png))
    act(portal, job_id, "cancel")
    text = page(portal, job_id)
    assert 'aria-live="polite">Cancelled</strong>' in text
    assert '<button data-where="failed" data-act="retry-failed">' in text
    assert "× cancelled" in portal.browser().get("/").text
