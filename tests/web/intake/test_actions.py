"""Close, cancel and retry over the API."""

from models.base import now
from models.tables.intake import Image, State
from pipeline.types import PREPROCESSING
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


def test_closed_and_cancelled_jobs_refuse_files(sender: Sender) -> None:
    content = b"0123456789"
    for action, fields in (("close", {"missing": "give_up"}), ("cancel", {})):
        one = Sender(sender.portal, sender.client, sender.portal.new_job())
        (upload,) = one.declare(("a.png", content))
        assert one.chunk(upload, 0, content[:5]).status_code == 200
        assert one.post(action, **fields).status_code == 200
        for refused in (
            one.chunk(upload, 5, content[5:]),
            one.batch([upload], content),
            send(one.client, one.job, ("a.png", content)),
            one.try_to_declare(("b.png", b"1")),
        ):
            assert refused.status_code == 409
            assert action.removesuffix("e") in refused.json["title"]
        assert one.partial_files() == []
    assert sender.portal.images() == []


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
    send(sender.client, sender.job, *((f"{n}.png", a_png(seed=n)) for n in range(6)))
    images = portal.images()
    for image in (images[0], images[1], images[5]):
        portal._read(image)
    failed = [State.FAILED] * 4
    set_states(portal, *failed, State.REJECTED, State.CANCELLED)
    store = portal.context.store
    for image in (images[1], images[5]):
        store.discard_network_input(image.sha256, PREPROCESSING)
        store.delete(image.sha256)
    store.delete(portal.images()[1].stored_sha256 or "", area="stored")
    store.delete(images[3].sha256)
    answer = sender.post("retry", which="failed").json
    assert (answer["retried"], answer["left"]) == (3, 2)
    now_in = ["ready", "failed", "received", "failed", "rejected", "received"]
    assert states(portal) == now_in, "the last one has its de-identified file"
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
    nobody = Sender(portal, portal.program(), "0" * 32)
    for action in ("close", "cancel", "retry", "files"):
        assert nobody.post(action).status_code == 404, action
    assert nobody.try_to_declare(("a.png", b"1")).status_code == 404
    assert nobody.client.get(f"{nobody.url}/uploads").status_code == 404
    one = Sender(portal, nobody.client, portal.new_job())
    assert one.post("retry", which="x").status_code == 422
