"""The supervisor starts, restarts and stops small programs in order."""

import io
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cli.service.processes import Program
from cli.service.supervisor import Supervisor
from models.config.logs import make_formatter
from tests.support.servers.service import still_alive, wait_until

pytestmark = pytest.mark.processes

SLEEPS = "import os, time; print('here', os.getpid(), 'ready.', flush=True); time.sleep(600)"
ENDS = "print('bye', flush=True)"
# Each records SIGTERM in one common file.
ASKED = (
    "import os, signal, sys\n"
    "def asked(*_):\n"
    "    os.write(os.open({path!r}, os.O_CREAT | os.O_APPEND | os.O_WRONLY), b'{name} ')\n"
    "    {then}\n"
    "signal.signal(signal.SIGTERM, asked)\n" + SLEEPS
)
WITH_HELPER = (
    "import subprocess, sys;"
    "helper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('helper', helper.pid, flush=True);" + SLEEPS
)


def program(name: str, script: str, *, rank: int = 1, stop_wait_s: float = 60.0) -> Program:
    command = (sys.executable, "-c", script)
    return Program(name, command, rank=rank, stop_wait_s=stop_wait_s, ready_text=" ready.")


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(log: io.StringIO) -> Iterator[Supervisor]:
    with Supervisor(environment={}, log=log) as running:
        yield running


def settle(supervisor: Supervisor, is_so: Callable[[], bool] | None = None) -> None:
    """Until all are ready, or something else is so."""
    deadline = time.monotonic() + 60
    while not (is_so or supervisor.are_all_ready)():
        supervisor.step(timeout_s=0.05)
        assert time.monotonic() < deadline


def processes_in(log: io.StringIO, *, number: int) -> list[psutil.Process]:
    """The processes that printed their ids; other tests start some, too."""

    def found() -> list[str]:
        return re.findall(r"(?:here|helper) (\d+)\b", log.getvalue())

    # A process counts as ready a moment before its line is copied.
    wait_until(lambda: len(found()) == number, within_s=60, what="their lines")
    return [psutil.Process(int(one)) for one in found()]


def test_ended_process_is_restarted_after_doubling_pauses(
    supervisor: Supervisor, log: io.StringIO
) -> None:
    supervisor.start(program("short", ENDS))
    settle(supervisor, lambda: log.getvalue().count("restarting in") == 3)

    wait_until(lambda: log.getvalue().count("bye") >= 3, within_s=60, what="its last line")
    assert log.getvalue().count("bye") == 3
    pauses = [f"restarting in {pause} s" for pause in ("0.5", "1", "2")]
    assert [log.getvalue().count(pause) for pause in pauses] == [1, 1, 1]


def test_stop_is_in_order_of_rank_and_kills_after_the_timeout(
    supervisor: Supervisor, log: io.StringIO, tmp_path: Path
) -> None:
    def asked(name: str, *, then: str) -> str:
        return ASKED.format(path=str(tmp_path / "asked"), name=name, then=then)

    supervisor.start(program("broker", asked("broker", then="sys.exit()"), rank=0))
    supervisor.start(program("portal", asked("portal", then="sys.exit()"), rank=2))
    supervisor.start(program("worker", asked("worker", then="pass"), rank=1, stop_wait_s=0.5))
    settle(supervisor)
    before = processes_in(log, number=3)

    supervisor.stop()

    assert still_alive(before) == []
    assert (tmp_path / "asked").read_text() == "portal worker broker "
    assert log.getvalue().count("did not stop in time") == 1
    assert "worker did not stop in time and was killed" in log.getvalue()


def test_stop_ends_helpers_of_a_process(supervisor: Supervisor, log: io.StringIO) -> None:
    supervisor.start(program("parent", WITH_HELPER))
    settle(supervisor)
    processes = processes_in(log, number=2)

    supervisor.stop()

    wait_until(lambda: not still_alive(processes), within_s=60, what="the helper's end")


PRINTS = """
print("2026-11-23 06:00:00,000 INFO web.http.request_log: GET / 200")
print("2026-11-23 06:00:00,000 ERROR web.http.request_log: worth knowing")
print("2026-11-23 06:00:00,000 INFO gunicorn.error: up")
print('{"process": "one", "logger": "web.http.request_log", "message": "the end"}', flush=True)
"""


def _logged(log_format: str) -> list[str]:
    log = io.StringIO()
    program = Program("one", (sys.executable, "-c", PRINTS), quiet=(" web.http.request_log: ",))
    environment = {**os.environ, "OVERREAD_LOG_FORMAT": log_format}
    supervisor = Supervisor(environment=environment, log=log)
    supervisor.start(program)
    wait_until(lambda: "the end" in log.getvalue(), within_s=20, what="the last line")
    supervisor.stop()
    return log.getvalue().splitlines()


def test_text_log_leaves_out_quiet_lines() -> None:
    lines = _logged("text")
    assert all(line.startswith("one     | ") for line in lines)
    assert [line.rpartition(": ")[2] for line in lines] == ["worth knowing", "up", '"the end"}']


def test_json_log_contains_only_json() -> None:
    lines = [json.loads(line) for line in _logged("json")]
    assert [one["process"] for one in lines] == ["one"] * 3
    assert lines[0]["message"].endswith("ERROR web.http.request_log: worth knowing")
    assert lines[2]["logger"] == "web.http.request_log"


def test_supervisor_logs_json() -> None:
    log = io.StringIO()
    Supervisor(environment={"OVERREAD_LOG_FORMAT": "json"}, log=log).log("waiting")
    assert json.loads(log.getvalue()) == {"process": "up", "message": "waiting"}


def test_formatter_leaves_out_celery_arguments() -> None:
    record = logging.LogRecord("celery", logging.INFO, "", 0, "received", (), None)
    record.data = {"args": "Mustermann"}
    record.jobs = ["a", "b"]
    line = json.loads(make_formatter("json", process="ingest").format(record))
    assert line["process"] == "ingest"
    assert line["jobs"] == ["a", "b"]
    assert "data" not in line
    assert make_formatter("text", process="ingest").format(record).endswith("received jobs=a,b")
