"""Ctrl-C says what goes on without the command, and what goes on where it is said again."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.fatal import Interrupted
from cli.trouble import in_one_line
from tests.served import Environment, Served
from tests.uploads import a_png


@pytest.fixture(autouse=True)
def _hears_ctrl_c() -> Iterator[None]:
    """Also where a shell in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_job_that_was_waited_for_is_read_all_the_same(service: Served, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(a_png())

    def interrupt(environ: Environment) -> None:
        if environ["REQUEST_METHOD"] == "GET":
            service.between.watcher = lambda _: None  # a second one would reach the tests
            os.kill(os.getpid(), signal.SIGINT)

    service.between.watcher = interrupt
    stopped = service.run("submit", tmp_path / "a.png", "--wait")

    job = service.newest_job()
    assert stopped.exit_code == 130
    assert stopped.stderr.splitlines()[-1] == (
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
