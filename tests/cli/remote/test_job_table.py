"""Jobs as a table and as JSON lines."""

import json
import os
import pty
import subprocess
import threading
from typing import Any

import pytest

from cli.output import STATES, print_jobs
from tests.support.servers.served import Served
from tests.support.servers.service import OVERREAD


def a_job(**further: Any) -> dict[str, Any]:
    counts = dict.fromkeys((*STATES, "missing", "given_up"), 0)
    times = {"closed_at": "2026-01-01T00:00:00Z", "cancelled_at": None, "finished": True}
    return {"id": "ab" * 16, "name": "ward 3", **counts, **times, **further}


def test_a_job_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_jobs([a_job(predicted=7, failed=1, missing=1, given_up=2)], as_json=False, url="")

    told = capsys.readouterr().out
    assert "7 predicted, 1 failed; 1 file missing, 2 files given up" in told
    assert "rejected" not in told


def test_what_is_not_listed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    print_jobs([a_job()] * 51, as_json=False, url="http://portal")

    told = capsys.readouterr().out
    assert told.count("ward 3") == 50
    assert "... and earlier ones: --json prints all, http://portal/jobs shows them" in told


def test_every_job_is_a_line_of_json(service: Served) -> None:
    made = [service.portal.new_job() for _ in range(52)]  # more than a page

    printed = service.run("jobs", "--json").stdout.splitlines()

    assert [json.loads(line)["id"] for line in printed[:52]] == made[::-1]


def test_an_id_is_no_path(service: Served) -> None:
    for job_id in ("../tokens", "", "a/../../users"):
        result = service.run("jobs", job_id)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "there is no job" in result.stderr
    assert service.run("results", "--job", "").exit_code == 2, "of all jobs, where one was meant"


def on_terminal(service: Served, *, columns: int) -> str:
    ours = {"OVERREAD_URL": service.url, "OVERREAD_TOKEN": service.token, "TERM": "dumb"}
    master, slave = pty.openpty()
    printed: list[bytes] = []
    reader = threading.Thread(target=_read, args=(master, printed))
    reader.start()
    subprocess.run(
        [*OVERREAD, "jobs"],
        env={**os.environ, **ours, "COLUMNS": str(columns), "LINES": "24"},
        stdout=slave,
        check=True,
    )
    os.close(slave)
    reader.join()
    return b"".join(printed).decode()


def _read(master: int, printed: list[bytes]) -> None:
    try:
        while block := os.read(master, 65536):
            printed.append(block)
    except OSError:
        pass  # that is how its end looks
    finally:
        os.close(master)


@pytest.mark.parametrize("columns", [80, 40])
def test_a_terminal_shows_it_whole(service: Served, columns: int) -> None:
    job_id = service.portal.new_job()

    told = on_terminal(service, columns=columns)

    line = next(line for line in told.splitlines() if job_id in line)
    assert "open" in line
    assert "\N{HORIZONTAL ELLIPSIS}" not in told
