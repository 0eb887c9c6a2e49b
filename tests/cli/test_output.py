"""Tables and files that commands write: full disks, pipes, control characters."""

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

import cli
from cli.api.client import Client
from cli.errors import UsageProblem
from cli.output import ResultTable, save_whole
from tests.support.servers.portal_server import ServedPortal
from tests.support.servers.service import OVERREAD


def test_save_whole_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("real.csv")

    save_whole(["a\n", "b\n"], tmp_path / "link.csv")

    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\nb\n"
    assert len(list(tmp_path.iterdir())) == 2, "a temporary file was left behind"


def test_save_whole_writes_to_a_pipe_without_replacing_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()

    save_whole(["a\n"], pipe)

    reader.join(timeout=10)
    assert received == ["a\n"]
    assert pipe.is_fifo()


def test_save_whole_reports_a_full_device_in_one_line() -> None:
    with pytest.raises(UsageProblem, match="/dev/full: cannot be written: No space left"):
        save_whole(["a\n"], Path("/dev/full"))
    assert Path("/dev/full").is_char_device()


def list_jobs(
    service: ServedPortal, redirection: str, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *OVERREAD, "jobs"],
        env={**os.environ, **service.environment, **variables},
        capture_output=True,
        check=False,
    )


def test_full_disk_behind_stdout_is_reported_in_one_line(service: ServedPortal) -> None:
    full = list_jobs(service, "> /dev/full")

    assert full.returncode == 1
    assert full.stderr == b"Error: No space left on device\n"


def test_closed_streams_and_limited_encodings_are_accepted(service: ServedPortal) -> None:
    with Client(service.url, service.token) as client:
        client.create_job("oddzia\u0142")

    poor = list_jobs(service, "2>&-", PYTHONIOENCODING="latin-1")

    assert poor.returncode == 0
    assert b"oddzia\\u0142" in poor.stdout


def test_full_disk_behind_help_is_reported_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*OVERREAD, "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (result.returncode, result.stderr) == (1, b"Error: No space left on device\n")


def a_result(**further: Any) -> dict[str, Any]:
    return {
        "file": "a/b.png",
        "status": "predicted",
        "reason": None,
        "finding": "pneumonia",
        "probability": 0.875,
        "threshold": 0.5,
        "unfamiliarity": 0.1,
        "warnings": [],
        "model_version": "v1",
        "operating_point": "balanced",
        "temperature": 1.669,
        **further,
    }


def printed(capsys: pytest.CaptureFixture[str], *results: dict[str, Any]) -> list[str]:
    table = ResultTable(rows=2)
    for result in results:
        table.add(result)
    table.print()
    return capsys.readouterr().out.splitlines()


def test_result_table_ends_with_a_line_for_each_version_and_threshold(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sensitive = a_result(operating_point="sensitive", threshold=0.2, temperature=None)
    lines = printed(capsys, *[a_result()] * 3, a_result(population="adults"), sensitive)
    assert lines[-4:] == [
        "... and 3 more",
        "v1: threshold 0.200, sensitive; calibration not recorded",
        "v1: threshold 0.500, balanced; calibrated with temperature 1.67",
        "v1: threshold 0.500, balanced; calibrated with temperature 1.67; read as an adult's",
    ]


def test_result_table_of_rejected_images_has_no_threshold_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unread = dict.fromkeys(("finding", "probability", "threshold", "unfamiliarity"))
    lines = printed(capsys, a_result(status="rejected", reason="b.png: not an image", **unread))
    assert "b.png: not an image" in "".join(lines)
    assert not any("calibrat" in line for line in lines)


def test_result_table_shows_notes_and_replaces_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = a_result(file="a\x1b[31m[b]\u202e.png", reason="b\nc", warnings=["one", "two"])
    text = "".join(printed(capsys, odd))
    assert "a\ufffd[31m[b]\ufffd.png" in text
    assert "b\ufffdc; one; two" in text


def test_every_table_is_printed_by_print_table() -> None:
    files = Path(cli.__file__).parent.rglob("*.py")
    assert [file.name for file in files if "add_row" in file.read_text()] == ["output.py"]
