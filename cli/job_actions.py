"""What an operator may do with a job that was sent, or not quite."""

from collections.abc import Iterator
from typing import Any

import click

from cli.answers import CONFLICT, Refused
from cli.client import Client
from cli.fatal import Failed


def every_job(client: Client) -> Iterator[dict[str, Any]]:
    """Newest first; asked for a page at a time, as they are taken."""
    page: int | None = 1
    while page:
        answer = client.jobs(page=page)
        yield from answer["jobs"]
        page = answer["next"]


def close_job(client: Client, job_id: str, *, give_up_missing: bool) -> dict[str, Any]:
    try:
        return client.close_job(job_id, missing="give_up" if give_up_missing else "refuse")
    except Refused as refusal:
        if refusal.status == CONFLICT and client.job(job_id)["missing"]:
            raise Failed(
                f"{refusal.title}: submit them again, or do without them: "
                f"overread jobs {job_id} --close --give-up-missing"
            ) from None
        raise


def retry_job(client: Client, job_id: str, *, which: str) -> dict[str, Any]:
    answer = client.retry_job(job_id, which=which)
    left = f"; {answer['left']} stay as they are: their bytes are gone" if answer["left"] else ""
    click.echo(f"{answer['retried'] or 'no'} images are read again{left}")
    job: dict[str, Any] = answer["job"]
    return job
