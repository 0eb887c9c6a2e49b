"""Errors and Ctrl-C: one line on stderr and an exit code."""

import errno
import os
import signal
import sys
import threading
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from cli.errors import Failed, Interrupted, one_line_errors
from tests.support.data.uploads import a_png
from tests.support.servers.command import run
from tests.support.servers.portal_server import Environment, ServedPortal
from tests.support.servers.processes import hearing_ctrl_c

ROOT = Path(__file__).parents[2]


def test_interrupting_submit_wait_leaves_the_job_running(
    service: ServedPortal, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(a_png())
    is_waiting = threading.Event()

    def watch(environ: Environment) -> None:
        if environ["REQUEST_METHOD"] == "GET":
            is_waiting.set()

    service.interceptor.handler = watch
    typed = [sys.executable, "-m", "cli", "submit", str(tmp_path / "a.png"), "--wait"]
    environment = service.environment | {"PATH": "/usr/bin:/bin"}
    with hearing_ctrl_c(), Popen(typed, cwd=ROOT, env=environment, stderr=PIPE, text=True) as it:
        try:
            assert is_waiting.wait(120)
            it.send_signal(signal.SIGINT)
            stderr = it.communicate(timeout=120)[1]
        finally:
            it.kill()

    job = service.newest_job()
    assert it.returncode == 130
    assert stderr.splitlines()[-1] == (
        f"Error: interrupted; job {job.id} continues; "
        f"for its results: overread results --job {job.id}"
    )
    assert job.closed_at is not None


def test_library_error_caused_by_ctrl_c_counts_as_interrupted() -> None:
    # Such as one whose loading was interrupted.
    with pytest.raises(Interrupted), one_line_errors():
        raise ImportError("initialization failed") from KeyboardInterrupt()


def raise_own_message() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise Interrupted("it continues") from None


def test_own_message_about_ctrl_c_is_kept() -> None:
    with pytest.raises(Interrupted, match="it continues"), one_line_errors():
        raise_own_message()


def test_full_disk_names_the_target_folder() -> None:
    with (
        pytest.raises(Failed, match=r"^backups: No space left on device; nothing was saved$"),
        one_line_errors(Path("backups"), outcome="nothing was saved"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device", "data/secrets.json")


LATIN_1 = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", "--name", LATIN_1, __file__],
        ["jobs", LATIN_1],
        ["results", "--job", LATIN_1],
        ["promote", LATIN_1],
        ["purge", "--job", LATIN_1],
        ["tokens", "add", LATIN_1, "--role", "viewer"],
    ],
)
def test_arguments_that_are_not_utf8_are_refused(
    service: ServedPortal, arguments: list[str]
) -> None:
    refused = service.run(*arguments)
    assert refused.exit_code == 2
    assert refused.stderr == "Error: argument is not valid UTF-8\n"
    assert service.interceptor.sent("POST", "jobs") == 0


@pytest.mark.parametrize(
    "arguments",
    [["backup", ""], ["restore", ""], ["audit", "--export", ""], ["predict", ""], ["submit", ""]],
)
def test_empty_paths_are_refused(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run(*arguments, OVERREAD_DATA=str(tmp_path / "data"))
    assert refused.exit_code == 2
    assert "the path is empty" in refused.stderr
    assert list(tmp_path.iterdir()) == []
