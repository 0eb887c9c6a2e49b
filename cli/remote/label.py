"""`overread label`"""

import sys
from pathlib import Path

import click

from cli.api.client import UPLOAD_TIMEOUT, connect
from cli.api.errors import Refused
from cli.errors import UsageProblem
from cli.params import GivenPath
from pipeline.files.table import TableError, read_bytes
from pipeline.text import plural, readable


@click.command()
@click.argument("table", metavar="FILE", type=GivenPath())
def label(table: Path) -> None:
    """Send labels (CSV) to a running service.

    Columns: file, sha256 or SOP Instance UID; label (pneumonia or 1, normal or 0, unusable);
    optional: patient, reader, time. Invalid rows are listed by number, all others are imported;
    sending a file again adds nothing. Exit code 0: all rows were accepted; 1: some were not.
    """
    try:
        content = read_bytes(table)
    except TableError as error:
        raise UsageProblem(str(error)) from None
    headers = {"Content-Type": "text/csv"}
    with connect() as client:
        try:
            result = client.request(
                "POST", "labels/csv", content=content, headers=headers, timeout=UPLOAD_TIMEOUT
            )
        except Refused as refusal:
            raise UsageProblem(f"{table}: {refusal.title}") from None
    problems = result["problems"]
    for problem in problems:
        click.echo(readable(f"row {problem['line']}: {problem['reason']}"), err=True)
    if result["ignored_columns"]:
        click.echo(readable(f"ignored columns: {', '.join(result['ignored_columns'])}"), err=True)
    for note in result["notes"]:
        click.echo(readable(note), err=True)
    counts = f"{plural(result['added'], 'label')} added, {result['unchanged']} unchanged"
    click.echo(f"{counts}, {plural(len(problems), 'row')} rejected" if problems else counts)
    sys.exit(1 if problems else 0)
