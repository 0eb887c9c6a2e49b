"""`overread label`"""

import sys
from pathlib import Path

import click

from cli.api.client import UPLOAD_TIMEOUT, connect
from cli.api.errors import Refused
from cli.errors import UsageProblem
from cli.params import GivenPath
from pipeline.limits import MAX_TABLE_BYTES
from pipeline.text import plural, readable


@click.command()
@click.argument("table", metavar="FILE", type=GivenPath())
def label(table: Path) -> None:
    """Send labels (CSV) to a running service.

    Columns: file, sha256 or SOP Instance UID; label (pneumonia, normal, unusable); optional:
    patient, reader, time. Invalid rows are listed by line, all others are imported; sending a
    file again adds nothing. Exit code 0: all rows were accepted; 1: some were not.
    """
    content = _read(table)
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
        click.echo(readable(f"line {problem['line']}: {problem['reason']}"), err=True)
    if result["ignored_columns"]:
        click.echo(readable(f"ignored columns: {', '.join(result['ignored_columns'])}"), err=True)
    counts = f"{plural(result['added'], 'label')} added, {result['unchanged']} unchanged"
    click.echo(f"{counts}, {plural(len(problems), 'row')} rejected" if problems else counts)
    sys.exit(1 if problems else 0)


def _read(table: Path) -> bytes:
    try:
        with table.open("rb") as stream:
            content = stream.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise UsageProblem(f"{table}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_TABLE_BYTES:
        limit = MAX_TABLE_BYTES // 2**20
        raise UsageProblem(f"{table}: larger than {limit} MiB; split it into several files")
    return content
