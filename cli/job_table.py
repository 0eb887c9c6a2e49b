"""Jobs for people at a terminal, or as JSON lines for their scripts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import click

from cli.tables import cells, console

LISTED = 50
STATES = ("received", "ready", "predicted", "rejected", "failed", "cancelled")
ABSENT = ("missing", "given_up")


def print_jobs(jobs: Iterable[Mapping[str, Any]], *, as_json: bool, url: str) -> None:
    """A table of the first; as JSON all of them. url: of the portal, which lists all."""
    if as_json:
        for job in jobs:
            click.echo(json.dumps(job))
        return
    remaining = iter(jobs)
    _print_table(list(islice(remaining, LISTED)))
    if next(remaining, None) is not None:
        click.echo(f"... and earlier ones: --json prints all, {url}/jobs shows them")


def _print_table(jobs: Sequence[Mapping[str, Any]]) -> None:
    """Fits a terminal of 80 columns: counts are words in one column, and none is zero."""
    from rich.table import Column, Table

    table = Table(
        # An identifier is there to be copied: whole, whatever else has to give way.
        Column("id", no_wrap=True, min_width=32),
        Column("name", overflow="fold", min_width=4),
        Column("state", no_wrap=True, min_width=9),
        Column("images", overflow="fold", min_width=9),
    )
    for job in jobs:
        table.add_row(*cells(job["id"], job["name"], _job_state(job), job_counts(job)))
    console().print(table)


def job_counts(job: Mapping[str, Any]) -> str:
    """Images by their state, then declared files that never became any."""
    images = ", ".join(f"{job[state]} {state}" for state in STATES if job[state])
    files = ", ".join(_files(job[name], name.replace("_", " ")) for name in ABSENT if job[name])
    return "; ".join(part for part in (images, files) if part) or "none"


def _files(number: int, which: str) -> str:
    return f"{number} {'file' if number == 1 else 'files'} {which}"


def _job_state(job: Mapping[str, Any]) -> str:
    if job["cancelled_at"] is not None:
        return "cancelled"
    if job["finished"]:
        return "finished"
    return "open" if job["closed_at"] is None else "reading"
