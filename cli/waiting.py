"""Following a job to its end, and saying what came out."""

import json
import time
from typing import Any

import click

from cli.client import Client
from cli.fatal import Interrupted
from cli.job_table import job_counts
from cli.progress import progress
from cli.tables import ResultTable

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
