"""`overread jobs` against a portal."""

import json
import sys
from typing import Any

import pytest

from cli.api.client import Client
from cli.output import STATES, print_jobs
from tests.support.data.uploads import a_png
from tests.support.servers.portal_server import ServedPortal


def a_job(**further: Any) -> dict[str, Any]:
    counts = dict.fromkeys((*STATES, "missing", "given_up"), 0)
    times = {"closed_at": "2026-01-01T00:00:00Z", "cancelled_at": None, "finished": True}
    return {"id": "ab" * 16, "name": "ward 3", **counts, **times, **further}


def test_print_jobs_counts_images_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    print_jobs([a_job(predicted=7, failed=1, missing=1, given_up=2)], as_json=False, url="")

    text = capsys.readouterr().out
    assert "7 predicted, 1 failed; 1 file missing, 2 files given up" in text
    assert "rejected" not in text


def test_print_jobs_says_that_the_table_is_truncated(capsys: pytest.CaptureFixture[str]) -> None:
    print_jobs([a_job()] * 51, as_json=False, url="http://portal")

    text = capsys.readouterr().out
    assert text.count("ward 3") == 50
    assert "... and earlier ones; --json prints all jobs, and http://portal/jobs lists them" in text


def test_jobs_json_prints_all_pages(service: ServedPortal) -> None:
    made = [service.portal.new_job() for _ in range(52)]  # more than a page

    printed = service.run("jobs", "--json").stdout.splitlines()

    assert [json.loads(line)["id"] for line in printed[:52]] == made[::-1]


def test_job_id_cannot_lead_to_another_path(service: ServedPortal) -> None:
    for job_id in ("../tokens", "", "a/../../users"):
        result = service.run("jobs", job_id)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "not found" in result.stderr
    assert service.run("results", "--job", "").exit_code == 2, "an empty id is not all jobs"


@pytest.mark.parametrize("columns", ["80", "40"])
def test_jobs_table_never_shortens_ids(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")  # on a dumb terminal, rich assumes 80 columns
    monkeypatch.setenv("COLUMNS", columns)
    job = a_job(finished=False, closed_at=None, predicted=7, missing=12)

    print_jobs([job], as_json=False, url="")

    text = capsys.readouterr().out
    assert len(text.splitlines()[0]) == max(int(columns), 72)
    line = next(line for line in text.splitlines() if job["id"] in line)
    assert "open" in line
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_job_is_closed_cancelled_and_retried(service: ServedPortal) -> None:
    job_id = service.portal.new_job()
    with Client(service.url, service.token) as client:
        client.declare(job_id, [{"file": "missing.dcm", "size": 5, "sha256": ""}])
    service.portal.send(job_id, ("a.png", a_png(seed=1)))

    refused = service.run("jobs", job_id, "--close")
    assert refused.exit_code == 1
    assert f"overread jobs {job_id} --close --give-up-missing" in refused.stderr
    closed = service.run("jobs", job_id, "--close", "--give-up-missing")
    assert closed.exit_code == 0, closed.stderr
    assert "given up" in closed.stdout
    assert "reading" in closed.stdout

    cancelled = service.run("jobs", job_id, "--cancel")
    assert cancelled.exit_code == 0, cancelled.stderr
    assert "cancelled" in cancelled.stdout
    retried = service.run("jobs", job_id, "--retry", "failed")
    assert retried.exit_code == 0, retried.stderr
    assert "1 image will be processed again" in retried.stdout
    assert service.newest_job().received == 1
