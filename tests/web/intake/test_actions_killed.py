"""Actions are repeated after the portal was killed before each of their commits."""

import pytest

from models.files.orphans import find_orphans
from models.tables.intake import State
from tests.support.data.uploads import a_png
from tests.support.servers.databases import both_databases
from tests.support.servers.kill_points import KilledError, killed_at_commit
from tests.support.web.portal import Portal, send
from tests.support.web.sender import Sender
from tests.web.intake.test_actions import set_states, states

pytestmark = both_databases

CLOSED = {"received": 1, "ready": 1, "predicted": 1, "failed": 1}
CANCELLED = {"cancelled": 2, "predicted": 1, "failed": 1}
RETRIED = {"received": 2, "ready": 1, "predicted": 1}


@pytest.fixture
def sender(sender: Sender) -> Sender:
    """Images of four states, and a declared file that has not arrived."""
    portal = sender.portal
    send(sender.client, sender.job, *((f"{n}.png", a_png(seed=n)) for n in range(4)))
    _, ready, predicted, _ = portal.images()
    portal._read(ready)
    portal._read(predicted)
    portal._predict(predicted.id)
    set_states(portal, State.RECEIVED, State.READY, State.PREDICTED, State.FAILED)
    sender.declare(("late.png", b"0123456789"))
    return sender


def post_until_it_succeeds(sender: Sender, action: str, **fields: str) -> int:
    """The number of kills."""
    sessions, kills = sender.portal.context.sessions, 0
    while True:
        try:
            with killed_at_commit(sessions, number=kills + 1):
                assert sender.client.post(f"{sender.url}/{action}", json=fields).status_code == 200
        except KilledError:
            kills += 1
        else:
            return kills


def audited(portal: Portal, action: str) -> int:
    return [row.action for row in portal.audit()].count(action)


def counted(sender: Sender) -> dict[str, int]:
    names = states(sender.portal)
    return {name: names.count(name) for name in names}


def test_killed_close_closes_once(sender: Sender) -> None:
    assert post_until_it_succeeds(sender, "close", missing="give_up") >= 1
    shown = sender.show()
    assert (shown["given_up"], shown["missing"], bool(shown["closed_at"])) == (1, 0, True)
    assert counted(sender) == CLOSED
    assert audited(sender.portal, "job.closed") == 1


def test_killed_cancel_cancels_once(sender: Sender) -> None:
    assert post_until_it_succeeds(sender, "cancel") >= 2
    assert sender.show()["finished"]
    assert counted(sender) == CANCELLED
    assert audited(sender.portal, "job.cancelled") == 1


@pytest.mark.parametrize("which", ["failed", "all"])
def test_killed_retry_requeues_once(sender: Sender, which: str) -> None:
    sender.post("cancel")
    assert post_until_it_succeeds(sender, "retry", which=which) >= 2
    assert counted(sender) == RETRIED
    assert sender.show()["cancelled_at"] is None
    portal = sender.portal
    assert find_orphans(portal.context.sessions, portal.context.store) == []
