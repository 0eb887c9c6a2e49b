"""Ctrl-C in a command: one line that says what continues, exit code 130."""

import signal
import sys
import threading
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from cli.errors import Interrupted, in_one_line
from tests.support.data.uploads import a_png
from tests.support.servers.processes import hearing_ctrl_c
from tests.support.servers.served import Environment, Served

ROOT = Path(__file__).parents[2]


def test_interrupting_submit_wait_leaves_the_job_running(service: Served, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(a_png())
    is_waiting = threading.Event()

    def watch(environ: Environment) -> None:
        if environ["REQUEST_METHOD"] == "GET":
            is_waiting.set()

    service.between.watcher = watch
    typed = [sys.executable, "-m", "cli", "submit", str(tmp_path / "a.png"), "--wait"]
    environment = {
        "OVERREAD_URL": service.url,
        "OVERREAD_TOKEN": service.token,
        "OVERREAD_DATA": str(service.settings.data_dir / "of the sender"),
        "PATH": "/usr/bin:/bin",
    }
    with hearing_ctrl_c(), Popen(typed, cwd=ROOT, env=environment, stderr=PIPE, text=True) as it:
        try:
            assert is_waiting.wait(120)
            it.send_signal(signal.SIGINT)
            said = it.communicate(timeout=120)[1]
        finally:
            it.kill()

    job = service.newest_job()
    assert it.returncode == 130
    assert said.splitlines()[-1] == (
        f"Error: interrupted; job {job.id} continues; "
        f"for its results: overread results --job {job.id}"
    )
    assert job.closed_at is not None


def test_library_error_caused_by_ctrl_c_counts_as_interrupted() -> None:
    # Such as one whose loading was interrupted.
    with pytest.raises(Interrupted), in_one_line():
        raise ImportError("initialization failed") from KeyboardInterrupt()


def raise_own_message() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise Interrupted("it continues") from None


def test_own_message_about_ctrl_c_is_kept() -> None:
    with pytest.raises(Interrupted, match="it continues"), in_one_line():
        raise_own_message()
