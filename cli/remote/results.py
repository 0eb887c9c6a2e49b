"""`overread results`"""

import json
from pathlib import Path

import click

from cli.api.client import connect
from cli.api.errors import not_found
from cli.errors import UsageProblem
from cli.output import ResultTable, save_whole
from cli.params import GivenPath


@click.command()
@click.option("--job", "job_id", metavar="ID", help="Only results of this job.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    show_default=True,
    help="Output format.",
)
@click.option(
    "--output", metavar="FILE", type=GivenPath(dir_okay=False), help="Write to this file."
)
def results(job_id: str | None, format_: str, output: Path | None) -> None:
    """Print or save results: a table to read, CSV or JSON lines with all fields."""
    if format_ == "table" and output:
        raise UsageProblem("--output requires --format csv or jsonl")
    fetched = "jsonl" if format_ == "table" else format_
    table = ResultTable()
    with (
        connect() as client,
        not_found(f"job {job_id}"),
        client.stream_results(job_id=job_id, format_=fetched) as lines,
    ):
        if output:
            save_whole(lines, output)
            return
        for line in lines:
            if format_ == "table":
                table.add(json.loads(line))
            else:
                click.echo(line.encode(), nl=False)  # UTF-8, whatever the terminal uses
    if format_ == "table":
        table.print()
