"""Where a command's words and tables go: files, pipes, full disks, odd terminals."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from cli.api.client import Client
from cli.errors import UsageProblem
from cli.output import save_whole
from tests.support.servers.served import Served
from tests.support.servers.service import OVERREAD


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("real.csv")

    save_whole(["a\n", "b\n"], tmp_path / "link.csv")

    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\nb\n"
    assert len(list(tmp_path.iterdir())) == 2, "a partial file stays behind"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """A device, too: root could replace /dev/null by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    came: list[str] = []
    reader = threading.Thread(target=lambda: came.append(pipe.read_text()))
    reader.start()

    save_whole(["a\n"], pipe)

    reader.join(timeout=10)
    assert came == ["a\n"]
    assert pipe.is_fifo()


def test_a_full_device_is_one_line() -> None:
    with pytest.raises(UsageProblem, match="/dev/full: cannot be written: No space left"):
        save_whole(["a\n"], Path("/dev/full"))
    assert Path("/dev/full").is_char_device()


def print_jobs(
    service: Served, redirection: str, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    ours = {"OVERREAD_URL": service.url, "OVERREAD_TOKEN": service.token}
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *OVERREAD, "jobs"],
        env={**os.environ, **ours, **variables},
        capture_output=True,
        check=False,
    )


def test_a_full_disk_behind_the_output_is_one_line(service: Served) -> None:
    full = print_jobs(service, "> /dev/full")

    assert full.returncode == 1
    assert full.stderr == b"Error: No space left on device\n"


def test_closed_streams_and_poor_encodings_are_no_trouble(service: Served) -> None:
    with Client(service.url, service.token) as client:
        client.create_job("oddzia\u0142")

    poor = print_jobs(service, "2>&-", PYTHONIOENCODING="latin-1")

    assert poor.returncode == 0
    assert b"oddzia\\u0142" in poor.stdout


def test_help_on_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [*OVERREAD, "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (told.returncode, told.stderr) == (1, b"Error: No space left on device\n")
