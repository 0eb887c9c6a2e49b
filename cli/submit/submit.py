"""`overread submit`"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from cli.api.client import Client, connect
from cli.api.errors import NotFoundError
from cli.errors import Failed, Interrupted
from cli.output import ResultTable, job_counts, print_jobs
from cli.params import GivenPath
from cli.progress import progress
from cli.submit.submission import NothingSent, Submission, submit_paths
from pipeline.text import readable

WAIT_S = 1  # for the job's end, before its progress is shown
POLL_INTERVAL_S = 0.5  # where the service does not wait
FINAL_STATES = ("predicted", "rejected", "failed", "cancelled")


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=GivenPath())
@click.option("--name", help="Name of the job.  [default: name of the first PATH]")
@click.option("--wait", is_flag=True, help="Follow the job to its end and print the results.")
@click.option(
    "--patience",
    "patience_s",
    type=click.IntRange(min=1),
    default=1800,
    show_default=True,
    metavar="SECONDS",
    help="With --wait: how long to wait for a service that cannot read the images.",
)
@click.option("--json", "--jsonl", "as_json", is_flag=True, help="Print JSON lines.")
def submit(
    paths: tuple[Path, ...], name: str | None, wait: bool, patience_s: int, as_json: bool
) -> None:
    """Send files, folders or zip archives to a running service.

    All files are declared before they are sent, so that none can be missing unnoticed. Run the
    same command again to resume an interrupted upload, even in the middle of a large file. Files
    that cannot be read, or change during the upload, are listed; all others are sent.

    With --wait, the command says why images wait where the service cannot read them, and goes on
    waiting; after --patience seconds of this without any progress it ends with exit code 1.
    The job continues: overread results --job ID prints its results.

    Exit code 0: all files were sent (with --wait: and predicted); 1: some were not.
    """
    from cli.settings import read_settings

    settings = read_settings()
    submission = Submission(settings.data_dir, service=settings.url, paths=paths)
    with connect() as client:
        try:
            sent = submit_paths(client, paths, name=name, submission=submission)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; run the same command again to resume") from None
        except NotFoundError:
            raise Failed("the job was deleted before all files were sent") from None
        except NothingSent as error:
            _print_unsent(error.unsent)
            raise
        _print_unsent(sent.unsent)
        click.echo(sent.summary(), err=True)
        if wait:
            all_predicted = _wait_and_print(
                client, sent.job["id"], patience_s=patience_s, as_json=as_json
            )
        else:
            print_jobs([sent.job], as_json=as_json, url=client.url)
            if not as_json:
                click.echo(f"{client.url}/jobs/{sent.job['id']}")
            all_predicted = True
    sys.exit(0 if all_predicted and not sent.unsent else 1)


def _print_unsent(unsent: list[tuple[str, str]]) -> None:
    for file, cause in unsent:
        click.echo(readable(f"{file}: {cause}"), err=True)


def _wait_and_print(client: Client, job_id: str, *, patience_s: float, as_json: bool) -> bool:
    """Return whether every file was predicted."""
    try:
        job = follow(client, job_id, patience_s=patience_s)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; job {job_id} continues; for its results: overread results --job {job_id}"
        ) from None
    table = ResultTable()
    with client.stream_results(job_id=job_id, format_="jsonl") as lines:
        for line in lines:
            if as_json:
                click.echo(line, nl=False)
            else:
                table.add(json.loads(line))
    if not as_json:
        table.print()
        rate = f"; {job['images_per_second']:.1f} images/s" if job["images_per_second"] else ""
        click.echo(f"{job['total']} images: {job_counts(job)}{rate}")
        click.echo(f"{client.url}/jobs/{job_id}")
    return bool(job["predicted"] == job["total"])


def follow(client: Client, job_id: str, *, patience_s: float) -> dict[str, Any]:
    """Raises Failed once images have waited for a service that cannot read them for too long."""
    job = client.job(job_id)
    cause, since, before = "", time.monotonic(), -1
    with progress("Reading", total=job["total"]) as shown:
        while not job["finished"]:
            rate = job["images_per_second"]
            done = sum(job[state] for state in FINAL_STATES)
            shown.show(done, total=job["total"], note=f"{rate:.0f} images/s" if rate else "")
            found = (job.get("waiting_for") or {}).get("message", "")
            if found and found != cause:
                shown.say(found)
            if not found or done != before:
                since = time.monotonic()
            elif time.monotonic() - since > patience_s:
                raise Failed(
                    f"{found}; no progress for {patience_s:g} s; the job continues, "
                    f"for its results: overread results --job {job_id}"
                )
            cause, before = found, done
            asked_at = time.monotonic()
            job = client.job(job_id, wait_s=WAIT_S)
            if not job["finished"]:
                time.sleep(max(0.0, asked_at + POLL_INTERVAL_S - time.monotonic()))
        shown.show(job["total"], total=job["total"])
    return job
