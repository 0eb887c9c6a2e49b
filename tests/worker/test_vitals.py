"""What a worker's tasks come to: counted, classified, logged once, and written to its row."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models.base import now
from models.config.secrets import SecretsError
from models.context import AppContext
from models.files.presence import StoreAwayError
from models.operations.heartbeat import FORGOTTEN_AFTER, ROLES, record_heartbeat, workers
from models.tables.workers import Problem, Worker
from tests.support.servers.databases import both_databases
from tests.support.servers.service import wait_until
from worker import enqueue, tasks, vitals
from worker.chunks import NoDecodersError, PassingError, VersionError
from worker.vitals import IN_A_ROW, Pulse


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (VersionError("network.bin is damaged"), Problem.VERSION),
        (NoDecodersError("a decoder process did not start"), Problem.DECODERS),
        (OperationalError("", {}, Exception("attempt to write a readonly database")), "database"),
        (StoreAwayError(Path("files")), Problem.FILES),
        (OSError(28, "No space left on device"), Problem.FILES),
    ],
    ids=str,
)
def test_pulse_knows_the_kind_of_a_failure_at_once(error: Exception, problem: str) -> None:
    pulse = Pulse()
    pulse.failed(error)
    expected = Problem.DATABASE if problem == "database" else problem
    assert (pulse.vitals.problem, pulse.vitals.failures) == (expected, 1)
    since = pulse.vitals.problem_since
    pulse.failed(error)
    assert (pulse.vitals.problem_since, pulse.vitals.failures) == (since, 2)
    pulse.succeeded()
    assert (pulse.vitals.problem, pulse.vitals.problem_since, pulse.vitals.failures) == (
        None,
        None,
        0,
    )


@pytest.mark.parametrize("error", [KeyError("a name"), PassingError("something is missing")])
def test_pulse_counts_unknown_failures_in_a_row(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    pulse = Pulse()
    for _ in range(IN_A_ROW - 1):
        pulse.failed(error)
    pulse.succeeded()
    for failures in range(1, IN_A_ROW + 2):
        pulse.failed(error)
        expected = Problem.TASKS if failures >= IN_A_ROW else None
        assert pulse.vitals.problem == expected
    lines = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == 2, "once, and once more after a success"
    assert "a name" not in caplog.text, "an error's text may quote a file"


@both_databases
def test_pulse_writes_its_row_at_once_when_something_changes(context: AppContext) -> None:
    with context.sessions.begin() as session:
        record_heartbeat(session, "predict", name="predict@gone")
        session.get_one(Worker, "predict@gone").seen_at = now() - 1.01 * FORGOTTEN_AFTER
    pulse = Pulse()

    def row_is(problem: Problem | None) -> Callable[[], bool]:
        def is_so() -> bool:
            with context.sessions() as session:
                rows = session.scalars(select(Worker)).all()
            return [(row.name, row.problem) for row in rows] == [("predict@here", problem)]

        return is_so

    pulse.start(context, role="predict", name="predict@here")
    wait_until(row_is(None), within_s=30, what="the first heartbeat")
    pulse.failed(VersionError("damaged"))
    wait_until(row_is(Problem.VERSION), within_s=4, what="the problem")
    pulse.succeeded()
    wait_until(row_is(None), within_s=4, what="its end")


@pytest.fixture
def pulse(context: AppContext, monkeypatch: pytest.MonkeyPatch) -> Pulse:
    """Of this process's tasks, which work on the context."""
    monkeypatch.setattr(tasks, "process_context", lambda: context)
    monkeypatch.setattr(tasks, "_pulse", Pulse())
    return tasks._pulse


def test_tasks_count_every_failure_and_do_not_nudge_after_it(pulse: Pulse) -> None:
    nudges = list[int]()

    def fail(_: AppContext) -> bool:
        raise RuntimeError("Could not determine home directory")

    for _ in range(IN_A_ROW):
        tasks._work(fail, nudge=lambda: nudges.append(1))
    assert pulse.vitals.problem == Problem.TASKS
    tasks._work(lambda _: False, nudge=lambda: nudges.append(1))
    assert (pulse.vitals.failures, nudges) == (0, [])
    assert pulse.vitals.succeeded_at is not None


def test_sweep_lets_a_task_show_whether_a_problem_lasts(
    context: AppContext, pulse: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if no image waits, and not by its own checks: a full disk passes them."""
    nudges = list[str]()
    monkeypatch.setitem(enqueue.NUDGES, "ingest", lambda: nudges.append("ingest"))
    check = partial(tasks.check_pulse, context, "ingest")
    check()
    assert nudges == []
    for failures, error in enumerate([OSError(28, "No space left on device"), *3 * [KeyError()]]):
        pulse.failed(error)
        check()
        assert (pulse.vitals.failures, len(nudges)) == (failures + 1, failures + 1)
    assert pulse.vitals.problem == Problem.TASKS
    tasks._work(lambda _: False, nudge=lambda: None)
    check()
    assert (pulse.vitals.problem, len(nudges)) == (None, 4)


def test_worker_of_two_queues_keeps_a_row_of_each(context: AppContext, pulse: Pulse) -> None:
    queues = SimpleNamespace(consume_from=dict.fromkeys(ROLES))
    app = SimpleNamespace(amqp=SimpleNamespace(queues=queues))
    tasks._start(SimpleNamespace(app=app, hostname="both@here"))

    def both_beat() -> bool:
        with context.sessions() as session:
            return {worker.role for worker in workers(session)} == set(ROLES)

    wait_until(both_beat, within_s=30, what="both heartbeats")


def test_heartbeat_goes_on_after_any_error(
    context: AppContext, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that was away at the start may prove to be another installation's."""
    errors = iter([SecretsError("secrets.json is of another installation"), KeyError("a name")])

    def fail_at_first(session: Session) -> None:
        for error in errors:
            raise error

    monkeypatch.setattr(vitals, "forget_workers", fail_at_first)
    monkeypatch.setattr(vitals, "INTERVAL_S", 0.05)
    Pulse().start(context, role="predict", name="predict@here")

    def beats() -> bool:
        with context.sessions() as session:
            return bool(workers(session))

    wait_until(beats, within_s=30, what="a heartbeat")
    assert "was not written: secrets.json is of another installation" in caplog.text
    assert "was not written: KeyError" in caplog.text


def test_idle_predict_worker_notices_a_version_that_cannot_be_opened(
    context: AppContext, pulse: Pulse
) -> None:
    tasks._live_predictor.cache_clear()
    with pytest.raises(VersionError, match="no model version"):
        tasks.check_able(context, "predict")
    tasks.check_able(context, "ingest")
