"""Close, cancel and retry over the API."""

from models.base import now
from models.tables.intake import Image, State
from tests.support.data.uploads import a_png
from tests.support.web.portal import Portal, send
from tests.support.web.sender import Sender


def set_states(portal: Portal, *states: State) -> None:
    with portal.database.sessions.begin() as session:
        for image, state in zip(portal.images(), states, strict=True):
            row = session.get_one(Image, image.id)
            row.state, row.reason, row.finished_at, row.attempts = state, "why", now(), 3


def states(portal: Portal) -> list[str]:
    return [image.state.value for image in portal.images()]


def actions(portal: Portal) -> set[str]:
    return {row.action for row in portal.audit()}


def test_close_reports_missing_files(sender: Sender) -> None:
    sender.declare(("a.png", b"1"), ("b.png", b"2"), ("c.png", b"3"))
    send(sender.client, sender.job, ("a.png", b"1"))
    refused = sender.client.post(f"{sender.url}/close")
    assert refused.status_code == 409
    assert refused.json["title"] == "2 of 3 declared files have not arrived"
    assert sender.show()["closed_at"] is None
    closed = sender.post("close", missing="give_up").json
    assert (closed["declared"], closed["missing"], closed["given_up"]) == (3, 0, 2)
    assert closed["closed_at"]
    assert "job.closed" in actions(sender.portal)
    assert sender.post("close").status_code == 200


def test_closed_and_cancelled_jobs_refuse_chunks(sender: Sender) -> None:
    for action, fields in (("close", {"missing": "give_up"}), ("cancel", {})):
        one = Sender(sender.portal, sender.client, sender.portal.new_job())
        (upload,) = one.declare(("a.png", b"0123456789"))
        assert one.chunk(upload, 0, b"01234").status_code == 200
        assert one.post(action, **fields).status_code == 200
        refused = one.chunk(upload, 5, b"56789")
        assert refused.status_code == 409
        assert action.removesuffix("e") in refused.json["title"]
        assert one.partial_files() == []
        assert one.try_to_declare(("b.png", b"1")).status_code == 409


def test_finished_job_cannot_be_cancelled(sender: Sender) -> None:
    send(sender.client, sender.job, ("a.png", a_png(seed=1)))
    sender.portal.read_all()
    assert sender.post("close").json["finished"]
    refused = sender.post("cancel")
    assert refused.status_code == 409
    assert refused.json["title"] == "this job has finished: nothing is left to cancel"
    assert "job.cancelled" not in actions(sender.portal)


def test_cancelled_job_can_be_retried(sender: Sender) -> None:
    send(sender.client, sender.job, ("a.png", a_png(seed=1)), ("b.png", a_png(seed=2)))
    cancelled = sender.post("cancel").json
    assert (cancelled["cancelled"], cancelled["finished"]) == (2, True)
    assert cancelled["cancelled_at"]
    assert send(sender.client, sender.job, ("c.png", b"late")).status_code == 409
    reasons = sender.client.get(f"{sender.url}/images?state=cancelled").json["images"]
    assert reasons[0]["reason"] == "a.png: the job was cancelled before this file was read"
    answer = sender.post("retry").json
    assert (answer["retried"], answer["left"]) == (2, 0)
    assert (answer["job"]["received"], answer["job"]["cancelled_at"]) == (2, None)
    assert {"job.cancelled", "job.retried"} <= actions(sender.portal)
    sender.portal.read_all()
    assert states(sender.portal) == ["predicted", "predicted"]


def test_retry_of_failed_images_depends_on_their_files(sender: Sender) -> None:
    portal = sender.portal
    send(sender.client, sender.job, *((f"{n}.png", a_png(seed=n)) for n in range(5)))
    images = portal.images()
    portal._read(images[0])
    portal._read(images[1])
    set_states(portal, State.FAILED, State.FAILED, State.FAILED, State.FAILED, State.REJECTED)
    for path in (portal.context.store.root / "inputs").rglob(images[1].sha256):
        path.unlink()  # read, but its network input is gone
    portal.context.store.delete(images[3].sha256)
    answer = sender.post("retry", which="failed").json
    assert (answer["retried"], answer["left"]) == (2, 2)
    assert states(portal) == ["ready", "failed", "received", "failed", "rejected"]
    first = portal.images()[0]
    assert (first.reason, first.finished_at, first.attempts) == (None, None, 0)


def test_retry_all_includes_refused_images_and_earlier_versions(sender: Sender) -> None:
    portal = sender.portal
    send(sender.client, sender.job, ("a.png", a_png(seed=1)), ("b.png", a_png(seed=2)))
    first, _ = portal.images()
    portal._read(first)
    portal._predict(first.id)
    set_states(portal, State.PREDICTED, State.REJECTED)
    answer = sender.post("retry", which="all").json
    assert (answer["retried"], answer["left"]) == (1, 0)
    assert states(portal) == ["predicted", "received"], "read by the production version"
    portal.go_live("v2")
    assert sender.post("retry", which="all").json["retried"] == 1
    assert states(portal) == ["ready", "received"]


def test_actions_require_an_existing_job(portal: Portal) -> None:
    client = portal.program()
    for action in ("close", "cancel", "retry", "files", "uploads"):
        answer = client.post(f"/api/v1/jobs/{'0' * 32}/{action}", json={})
        assert answer.status_code in (404, 422), action
        assert (action == "uploads") == (answer.status_code == 422)
    assert (
        client.post(f"/api/v1/jobs/{portal.new_job()}/retry", json={"which": "x"}).status_code
        == 422
    )
