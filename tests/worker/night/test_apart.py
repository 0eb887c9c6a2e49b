"""A night is a process of its own."""

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from models.config.settings import Settings
from models.context import AppContext, open_context
from models.learning.nights import cancel_night, request_night
from models.operations.upgrade import upgrade
from models.tables.learning import Night, Outcome
from worker.night.apart import run_waiting_night

WITHIN_S = 60.0  # on a busy machine
NIGHT = """
import pathlib, signal, sys, time
def hand_back(*_):
    pathlib.Path(sys.argv[1]).write_text("handed back")
    sys.exit(0)
signal.signal(signal.SIGTERM, hand_back)
pathlib.Path(sys.argv[1]).write_text("running")
time.sleep(600)
"""
LIMITED = """
import time
from worker.night.process import time_limit
from worker.night.run import TookTooLongError
with time_limit(0.05):
    pass
time.sleep(0.1)  # nothing is raised
try:
    with time_limit(0.05):
        time.sleep(600)
except TookTooLongError:
    raise SystemExit(0)
raise SystemExit(1)
"""


@pytest.fixture
def context(settings: Settings) -> AppContext:
    """In which a night waits."""
    upgrade(settings)
    context = open_context(settings)
    with context.sessions.begin() as session:
        request_night(session, user_id=None)
    return context


def test_night_is_handed_back_when_the_worker_stops(context: AppContext, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    command = (sys.executable, "-c", NIGHT, str(sign))
    given = {"command": command}
    worker = threading.Thread(target=run_waiting_night, args=(context,), kwargs=given, daemon=True)
    worker.start()
    while not sign.exists() or not sign.read_text():
        time.sleep(0.05)
    context.stopping.set()
    worker.join(WITHIN_S)
    assert not worker.is_alive()
    assert sign.read_text() == "handed back"


def test_night_is_killed_at_its_time_limit(
    context: AppContext, caplog: pytest.LogCaptureFixture
) -> None:
    brief = context.settings.model_copy(update={"train_time_limit_s": 1})
    began = time.monotonic()
    run_waiting_night(replace(context, settings=brief), command=("sleep", "600"))
    assert time.monotonic() - began < WITHIN_S
    assert "was killed" in caplog.text
    assert f"ended with {-signal.SIGKILL}" in caplog.text


def test_no_process_is_started_where_no_night_waits(context: AppContext, tmp_path: Path) -> None:
    with context.sessions.begin() as session:
        cancel_night(session, 1)
    run_waiting_night(context, command=("touch", str(tmp_path / "started")))
    assert not (tmp_path / "started").exists()


@pytest.mark.processes
def test_process_of_a_night_runs_it(context: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without labels it ends soon."""
    monkeypatch.setenv("OVERREAD_DATA", str(context.settings.data_dir))
    run_waiting_night(context)
    with context.sessions() as session:
        assert session.get_one(Night, 1).outcome is Outcome.NOTHING


def test_time_limit_ends_what_takes_too_long() -> None:
    """In a process of its own: signals may kill one in which NNCF has used OpenVINO."""
    subprocess.run([sys.executable, "-c", LIMITED], timeout=WITHIN_S, check=True)
