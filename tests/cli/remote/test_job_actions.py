"""Closing, cancelling and retrying a job by command."""

import pytest

from cli.api.client import Client
from tests.support.data.uploads import a_png
from tests.support.servers.served import Served


def test_a_job_is_closed_cancelled_and_retried(service: Served) -> None:
    job_id = service.portal.new_job()
    with Client(service.url, service.token) as client:
        client.declare(job_id, [{"file": "missing.dcm", "size": 5, "sha256": ""}])
        client.send_files(job_id, [("a.png", a_png(seed=1))])

    refused = service.run("jobs", job_id, "--close")
    assert refused.exit_code == 1
    assert "1 of 1 declared files has not arrived" in refused.stderr
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
    assert "1 images are read again" in retried.stdout
    assert service.newest_job().received == 1


@pytest.mark.parametrize(
    "options", [["--cancel"], ["x", "--close", "--cancel"], ["x", "--give-up-missing"]]
)
def test_one_job_and_one_thing_at_a_time(service: Served, options: list[str]) -> None:
    result = service.run("jobs", *options)

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
