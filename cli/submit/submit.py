"""`overread submit`

Following a job to its end, and saying what came out.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from cli.api.client import Client
from cli.errors import Interrupted
from cli.output import ResultTable, job_counts
from cli.params import GivenPath
from cli.progress import progress


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=GivenPath())
@click.option("--name", help="What to call the job; by default the first PATH's name.")
@click.option("--wait", is_flag=True, help="Follow the job to its end and print the results.")
@click.option("--json", "--jsonl", "as_json", is_flag=True, help="Print JSON lines.")
def submit(paths: tuple[Path, ...], name: str | None, wait: bool, as_json: bool) -> None:
    """Send files, folders or zips to a running service.

    Everything is declared before it is sent, so that nothing can be missing unnoticed. Where the
    same command was cut off before, it goes on from there, in the middle of a large file if need
    be. A file that cannot be read, or changes meanwhile, is named; the others are sent.

    Exit code 0: all was sent (with --wait: every file was predicted); 1: some was not.
    """
    from cli.api.client import connect
    from cli.errors import Interrupted
    from cli.output import print_jobs
    from cli.settings import read_settings
    from cli.submit.submission import NothingSent, Submission, submit_paths

    settings = read_settings()
    submission = Submission(settings.data_dir, service=settings.url, paths=paths)
    with connect(settings) as client:
        try:
            sent = submit_paths(client, paths, name=name, submission=submission)
        except KeyboardInterrupt:
            raise Interrupted("stopped; the same command goes on from there") from None
        except NothingSent as failure:
            _name(failure.unsent)
            raise
        _name(sent.unsent)
        click.echo(sent.in_words(), err=True)
        if wait:
            all_predicted = wait_and_print(client, sent.job["id"], as_json=as_json)
        else:
            print_jobs([sent.job], as_json=as_json, url=client.url)
            if not as_json:
                click.echo(f"{client.url}/jobs/{sent.job['id']}")
            all_predicted = True
    sys.exit(0 if all_predicted and not sent.unsent else 1)


def _name(unsent: list[tuple[str, str]]) -> None:
    from pipeline.text import readable

    for file, cause in unsent:
        click.echo(readable(f"{file}: {cause}"), err=True)


ASK_EVERY_S = 0.5
FINAL = ("predicted", "rejected", "failed", "cancelled")


def wait_and_print(client: Client, job_id: str, *, as_json: bool) -> bool:
    """True where every file was predicted."""
    try:
        job = _follow(client, job_id)
    except KeyboardInterrupt:
        raise Interrupted(
            f"job {job_id} is read without this command, too; "
            f"what came out: overread results --job {job_id}"
        ) from None
    with client.stream_results(job_id=job_id, format_="jsonl") as lines:
        if as_json:
            for line in lines:
                click.echo(line, nl=False)
        else:
            table = ResultTable()
            for line in lines:
                table.add(json.loads(line))
            table.print()
    if not as_json:
        click.echo(_summary(job))
        click.echo(f"{client.url}/jobs/{job_id}")
    return bool(job["predicted"] == job["total"])


def _follow(client: Client, job_id: str) -> dict[str, Any]:
    job = client.job(job_id)
    with progress("Reading", total=job["total"]) as shown:
        while not job["finished"]:
            rate = job["images_per_second"]
            done = sum(job[state] for state in FINAL)
            shown.show(done, total=job["total"], note=f"{rate:.0f} images/s" if rate else "")
            time.sleep(ASK_EVERY_S)
            job = client.job(job_id)
        shown.show(job["total"], total=job["total"])
    return job


def _summary(job: dict[str, Any]) -> str:
    rate = job["images_per_second"]
    return f"{job['total']} images: {job_counts(job)}" + (f"; {rate:.1f} images/s" if rate else "")
