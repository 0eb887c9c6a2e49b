"""`overread label`"""

import sys
from pathlib import Path
from typing import Any

import click

from cli.params import GivenPath
from pipeline.text import readable


@click.command()
@click.argument("table", metavar="FILE", type=GivenPath())
def label(table: Path) -> None:
    """Send a table of labels (CSV) to a running service.

    Columns: file, sha256 or SOP Instance UID; label (pneumonia, normal, unusable); perhaps
    patient, reader, time. Bad rows are told by their line, the others are taken; the same table
    again adds nothing. Exit code 0: all rows were taken; 1: some were refused.
    """
    from cli.api.client import connect
    from cli.api.errors import Refused
    from cli.errors import UsageProblem
    from cli.settings import read_settings

    content = _read(table)
    with connect(read_settings()) as client:
        try:
            taken = client.send_labels(content)
        except Refused as refusal:
            raise UsageProblem(f"{table}: {refusal.title}") from None
    _print(taken)
    sys.exit(1 if taken["problems"] else 0)


def _read(table: Path) -> bytes:
    from cli.errors import UsageProblem
    from pipeline.limits import MAX_TABLE_BYTES

    try:
        with table.open("rb") as stream:
            content = stream.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise UsageProblem(f"{table}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_TABLE_BYTES:
        raise UsageProblem(f"{table}: larger than {MAX_TABLE_BYTES // 2**20} MiB; send it in parts")
    return content


def _print(taken: dict[str, Any]) -> None:
    for problem in taken["problems"]:
        click.echo(readable(f"line {problem['line']}: {problem['reason']}"), err=True)
    if taken["ignored_columns"]:
        left_out = readable(", ".join(taken["ignored_columns"]))
        click.echo(f"columns left out: {left_out}", err=True)
    counts = f"{taken['added']} labels added, {taken['unchanged']} known already"
    refused = len(taken["problems"])
    click.echo(f"{counts}, {refused} rows refused" if refused else counts)
