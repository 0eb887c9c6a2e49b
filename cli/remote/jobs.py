"""`overread jobs`

What an operator may do with a job that was sent, or not quite."""

from collections.abc import Iterator
from typing import Any

import click

from cli.api.client import Client
from cli.api.errors import CONFLICT, Refused
from cli.errors import Failed
from cli.output import print_jobs


@click.command()
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("--close", is_flag=True, help="Say that all was sent.")
@click.option("--give-up-missing", is_flag=True, help="With --close: do without what is missing.")
@click.option("--cancel", is_flag=True, help="Read no more of it; what was read stays.")
@click.option(
    "--retry",
    type=click.Choice(["failed", "all"]),
    help="Read again what failed or was cancelled; all: what was refused or read by earlier "
    "versions, too. Files whose bytes are gone stay as they are.",
)
@click.option("--json", "--jsonl", "as_json", is_flag=True, help="Print JSON lines, of all jobs.")
def jobs(
    job_id: str | None,
    close: bool,
    give_up_missing: bool,
    cancel: bool,
    retry: str | None,
    as_json: bool,
) -> None:
    """List jobs, newest first; show one; or close, cancel or retry it.

    A job is closed by itself at the end of `overread submit`. While declared files have not
    arrived, --close is refused, unless it gives them up. A cancelled job can be retried for a day;
    then the files of it that nobody has read are deleted.
    """
    from cli.api.client import connect
    from cli.api.errors import NotFoundError
    from cli.errors import UsageProblem
    from cli.settings import read_settings
    from pipeline.text import readable

    _check(job_id, asked=sum((close, cancel, retry is not None)))
    if give_up_missing and not close:
        raise UsageProblem("--give-up-missing goes with --close")
    with connect(read_settings()) as client:
        try:
            if job_id is None:
                print_jobs(every_job(client), as_json=as_json, url=client.url)
                return
            if close:
                job = close_job(client, job_id, give_up_missing=give_up_missing)
            elif cancel:
                job = client.cancel_job(job_id)
            elif retry:
                job = retry_job(client, job_id, which=retry)
            else:
                job = client.job(job_id)
        except NotFoundError:
            raise UsageProblem(f"there is no job {readable(job_id or '')}") from None
        print_jobs([job], as_json=as_json, url=client.url)


def _check(job_id: str | None, *, asked: int) -> None:
    from cli.errors import UsageProblem

    if asked > 1:
        raise UsageProblem("one thing at a time: --close, --cancel or --retry")
    if asked and job_id is None:
        raise UsageProblem("which job? Its ID goes before --close, --cancel or --retry")


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
