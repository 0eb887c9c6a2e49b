"""`overread jobs`"""

from typing import Any

import click

from cli.api.client import Client, connect, job_path
from cli.api.errors import CONFLICT, Refused, not_found
from cli.errors import Failed, UsageProblem
from cli.output import print_jobs
from pipeline.text import plural


@click.command()
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("--close", is_flag=True, help="Mark the upload as complete.")
@click.option("--give-up-missing", is_flag=True, help="With --close: drop files not yet received.")
@click.option("--cancel", is_flag=True, help="Cancel the job; finished results are kept.")
@click.option(
    "--retry",
    type=click.Choice(["failed", "all"]),
    help="Process failed and cancelled images again; all: also rejected ones and those predicted "
    "by earlier versions.",
)
@click.option("--json", "--jsonl", "as_json", is_flag=True, help="Print all jobs as JSON lines.")
def jobs(
    job_id: str | None,
    close: bool,
    give_up_missing: bool,
    cancel: bool,
    retry: str | None,
    as_json: bool,
) -> None:
    """List jobs, newest first; show, close, cancel or retry one.

    `overread submit` closes its job itself. --close is refused while declared files are missing,
    unless they are given up. A cancelled job can be retried for one day; then its unprocessed
    files are deleted.
    """
    actions = sum((close, cancel, retry is not None))
    if actions > 1:
        raise UsageProblem("--close, --cancel and --retry exclude each other")
    if actions and job_id is None:
        raise UsageProblem("--close, --cancel and --retry require a job ID")
    if give_up_missing and not close:
        raise UsageProblem("--give-up-missing requires --close")
    with connect() as client, not_found(f"job {job_id}"):
        if job_id is None:
            print_jobs(client.pages("jobs", "jobs"), as_json=as_json, url=client.url)
            return
        if close:
            job = _close(client, job_id, give_up_missing=give_up_missing)
        elif cancel:
            job = client.post(f"{job_path(job_id)}/cancel")
        elif retry:
            job = _retry(client, job_id, which=retry)
        else:
            job = client.job(job_id)
        print_jobs([job], as_json=as_json, url=client.url)


def _close(client: Client, job_id: str, *, give_up_missing: bool) -> dict[str, Any]:
    try:
        return client.close_job(job_id, missing="give_up" if give_up_missing else "refuse")
    except Refused as refusal:
        if refusal.status == CONFLICT and client.job(job_id)["missing"]:
            raise Failed(
                f"{refusal.title}; submit them again, or drop them with: "
                f"overread jobs {job_id} --close --give-up-missing"
            ) from None
        raise


def _retry(client: Client, job_id: str, *, which: str) -> dict[str, Any]:
    answer = client.post(f"{job_path(job_id)}/retry", {"which": which})
    left = f"; {answer['left']} unchanged, their files were deleted" if answer["left"] else ""
    click.echo(f"{plural(answer['retried'], 'image')} will be processed again{left}")
    job: dict[str, Any] = answer["job"]
    return job
