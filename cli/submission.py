"""One submission: a job is made or found again, files are sent, the job is closed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cli.client import Client, NotFoundError
from cli.progress import progress
from cli.sending import Sent, send_all
from cli.sources import Walk
from cli.submissions import Submission


def submit_paths(
    client: Client, paths: Sequence[Path], *, name: str | None, data_dir: Path
) -> tuple[dict[str, Any], Sent]:
    walk = Walk(paths)
    total = walk.count()
    if clause := walk.left_out():
        click.echo(clause, err=True)
    submission = Submission(data_dir, url=client.url, paths=paths)
    job = _unfinished_job(client, submission)
    resumed = job is not None
    if job is None:
        job = client.create_job((name or paths[0].resolve().name or "upload")[:200])
        submission.remember(job["id"])
    else:
        click.echo(f"going on with job {job['id']}, which was cut off", err=True)
    with progress("Sending", total=total) as shown:
        sent = send_all(client, job["id"], walk, resumed=resumed, shown=shown)
    job = client.close_job(job["id"])
    submission.forget()
    return job, sent


def _unfinished_job(client: Client, submission: Submission) -> dict[str, Any] | None:
    """A closed job is a finished submission; the same paths may be submitted anew."""
    job_id = submission.job_id()
    if job_id is None:
        return None
    try:
        job = client.job(job_id)
    except NotFoundError:
        return None
    return job if job["closed_at"] is None else None
