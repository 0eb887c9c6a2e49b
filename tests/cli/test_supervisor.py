"""Processes are started, restarted, and stopped in order, with small programs for services."""

import io
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from cli.processes import Program
from cli.supervisor import Supervisor
from tests.service import still_alive, wait_until

pytestmark = pytest.mark.processes

SLEEPS = "import time; print('here ready.', flush=True); time.sleep(60)"
POLITE = (
    "import signal, sys\n"
    "def stop(*_): print('stops', flush=True); sys.exit()\n"
    "signal.signal(signal.SIGTERM, stop)\n" + SLEEPS
)
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPS
ENDS = "print('bye', flush=True)"
WITH_HELPER = (
    "import subprocess, sys;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);" + SLEEPS
)


def program(name: str, script: str, *, rank: int = 1, stop_wait_s: float = 5.0) -> Program:
    command = (sys.executable, "-c", script)
    return Program(name, command, rank=rank, stop_wait_s=stop_wait_s, says_when_ready=" ready.")


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(log: io.StringIO) -> Iterator[Supervisor]:
    with Supervisor(environment={}, log=log) as running:
        yield running


def settle(supervisor: Supervisor) -> None:
    deadline = time.monotonic() + 20
    while not supervisor.are_all_ready():
        supervisor.step(timeout_s=0.05)
        assert time.monotonic() < deadline


@pytest.fixture
def others() -> set[psutil.Process]:
    """Other tests' servers, which are not the supervisor's."""
    return set(children())


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_lines_carry_their_process_name(supervisor: Supervisor, log: io.StringIO) -> None:
    supervisor.start(program("one", SLEEPS))
    settle(supervisor)

    assert "one     | here ready." in log.getvalue()


def test_who_ends_is_started_again_after_longer_and_longer_pauses(
    supervisor: Supervisor, log: io.StringIO
) -> None:
    supervisor.start(program("short", ENDS))
    deadline = time.monotonic() + 20
    while log.getvalue().count("starting it again") < 3:
        supervisor.step(timeout_s=0.1)
        assert time.monotonic() < deadline

    assert log.getvalue().count("bye") == 3
    pauses = [f"again in {pause} s" for pause in ("0.5", "1", "2")]
    assert [log.getvalue().count(pause) for pause in pauses] == [1, 1, 1]


def test_the_highest_rank_stops_first_and_the_stubborn_are_killed(
    others: set[psutil.Process], supervisor: Supervisor, log: io.StringIO
) -> None:
    supervisor.start(program("broker", POLITE, rank=0))
    supervisor.start(program("portal", POLITE, rank=2))
    supervisor.start(program("worker", STUBBORN, rank=1, stop_wait_s=0.5))
    settle(supervisor)
    before = list(set(children()) - others)

    supervisor.stop()

    assert len(before) == 3
    assert still_alive(before) == []
    text = log.getvalue()
    order = [text.index(s) for s in ("portal  | stops", "worker did not stop", "broker  | stops")]
    assert order == sorted(order)


def test_helpers_of_a_process_end_with_it(
    others: set[psutil.Process], supervisor: Supervisor
) -> None:
    supervisor.start(program("parent", WITH_HELPER))
    settle(supervisor)
    helpers = list(set(children()) - others)
    assert len(helpers) == 2

    supervisor.stop()

    wait_until(lambda: not still_alive(helpers), within_s=5, what="the helper's end")
