"""Ctrl-C says what goes on without the command, and what goes on where it is said again."""

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


def test_a_job_that_was_waited_for_is_read_all_the_same(service: Served, tmp_path: Path) -> None:
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
        f"Error: job {job.id} is read without this command, too; "
        f"what came out: overread results --job {job.id}"
    )
    assert job.closed_at is not None


def test_what_libraries_make_of_ctrl_c_is_still_ctrl_c() -> None:
    """Such as one whose loading was interrupted."""
    with pytest.raises(Interrupted), in_one_line():
        raise ImportError("initialization failed") from KeyboardInterrupt()


def say_it_plainly() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise Interrupted("it goes on") from None


def test_what_a_command_says_itself_of_ctrl_c_stays() -> None:
    with pytest.raises(Interrupted, match="it goes on"), in_one_line():
        say_it_plainly()
