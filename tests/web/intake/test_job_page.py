"""The job page without scripts: its text and controls."""

from models.tables.people import Role
from tests.support.data.uploads import a_png
from tests.support.web.portal import send
from tests.support.web.sender import Sender

FILES = [("a.dcm", b"12345"), ("b.dcm", b"12345")]


def page(sender: Sender, path: str = "", *, role: Role = Role.OPERATOR) -> str:
    """By default the job's."""
    answer = sender.portal.browser(role).get(path or f"/jobs/{sender.job}")
    assert answer.status_code == 200
    return str(answer.text)


def test_interrupted_job_offers_to_resume_but_not_to_readers(sender: Sender) -> None:
    sender.declare(*FILES)
    as_operator, as_reader = page(sender), page(sender, role=Role.READER)
    for text in (as_operator, as_reader):
        assert 'data-count="missing">2</span> of <span data-count="declared">2</span>' in text
    for part in ("upload.js", 'id="folder"', 'data-act="close-without"', 'data-act="cancel"'):
        assert part in as_operator
    for part in ("upload.js", 'id="folder"', "data-act"):
        assert part not in as_reader
    assert "2 of 2 files missing" in page(sender, "/")


def test_closed_job_shows_that_files_are_missing(sender: Sender) -> None:
    sender.declare(*FILES)
    sender.post("close", missing="give_up")
    assert "Finished, incomplete: 2 of 2 declared files never arrived" in page(sender)
    assert "2 of 2 files never arrived" in page(sender, "/")


def test_cancelled_job_offers_a_retry(sender: Sender) -> None:
    send(sender.client, sender.job, ("a.png", a_png()))
    sender.post("cancel")
    text = page(sender)
    assert 'aria-live="polite">Cancelled</strong>' in text
    assert '<button data-where="failed" data-act="retry-failed">' in text
    assert "× cancelled" in page(sender, "/")


def test_job_tells_its_viewers_why_images_wait(sender: Sender) -> None:
    """No broker runs in this test, and no worker."""
    url, viewer = f"/api/v1/jobs/{sender.job}", sender.portal.program(Role.VIEWER)
    assert viewer.get(url).json["waiting_for"] is None, "nothing waits"
    send(sender.client, sender.job, ("a.png", a_png()))
    message = "images wait: the broker does not respond; tell the operator"
    expected = {"reason": "no-answer", "message": message}
    assert viewer.get(url).json["waiting_for"] == expected
    assert sender.post("close").json["waiting_for"] == expected
    assert "Images wait: the broker does not respond; tell the operator." in page(sender)
    sender.portal.read_all()
    assert viewer.get(url).json["waiting_for"] is None
    assert "Images wait" not in page(sender)
