"""`overread results`"""

import json
from collections.abc import Iterable
from pathlib import Path

import click

from cli.params import GivenPath


@click.command()
@click.option("--job", "job_id", metavar="ID", help="Only this job's.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    show_default=True,
)
@click.option("--output", metavar="FILE", type=GivenPath(dir_okay=False))
def results(job_id: str | None, format_: str, output: Path | None) -> None:
    """Print or save results: a table for people, CSV or JSON lines with every field."""
    from cli.api.client import connect
    from cli.api.errors import NotFoundError
    from cli.errors import UsageProblem
    from cli.settings import read_settings
    from pipeline.text import readable

    if format_ == "table" and output:
        raise UsageProblem("a table is for the screen; with --output choose --format csv or jsonl")
    with connect(read_settings()) as client:
        try:
            asked = "jsonl" if format_ == "table" else format_
            with client.stream_results(job_id=job_id, format_=asked) as lines:
                _write(lines, format_=format_, output=output)
        except NotFoundError:
            raise UsageProblem(f"there is no job {readable(job_id or '')}") from None


def _write(lines: Iterable[str], *, format_: str, output: Path | None) -> None:
    from cli.output import save_whole

    if output:
        save_whole(lines, output)
    elif format_ == "table":
        _print_table(lines)
    else:
        for line in lines:
            click.echo(line.encode(), nl=False)  # UTF-8, whatever the terminal's encoding is


def _print_table(lines: Iterable[str]) -> None:
    from cli.output import ResultTable

    table = ResultTable()
    for line in lines:
        table.add(json.loads(line))
    table.print()
