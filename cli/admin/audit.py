"""`overread audit`: print, verify and export the audit, from the database itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import click
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from cli.errors import Failed, UsageProblem
from cli.output import ROWS, moment, print_table, save_whole
from cli.params import GivenPath
from models.audit.lists import AuditFilter, iter_audit, list_audit_page
from models.audit.verify import check_audit
from models.config.settings import Settings
from models.operations.upgrade import record_by_admin
from models.session import Sessions, open_database
from web.operations.audit import Format, audit_lines


@click.command()
@click.option("--verify", is_flag=True, help="Verify every row and anchor; exit code 1: failed.")
@click.option(
    "--export",
    metavar="FILE",
    type=GivenPath(dir_okay=False),
    help="Export every row: .csv or .jsonl.",
)
def audit(verify: bool, export: Path | None) -> None:
    """Print the newest rows of the audit, verify it or export it.

    Reads the database directly, on a machine that has the data folder; needs no running service.
    """
    from cli.settings import read_settings

    settings = read_settings()
    if export:
        export_audit(settings, export)
    if verify:
        sys.exit(0 if verify_audit(settings) else 1)
    if not export:
        print_audit(settings)


EVERYTHING = AuditFilter()
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl"}


def print_audit(settings: Settings) -> None:
    from rich.table import Column

    with _open(settings) as sessions, sessions() as session:
        found = list_audit_page(session, EVERYTHING, page_size=ROWS)
    print_table(
        (Column("row", justify="right"), "when", "person", "action", "on"),
        (
            (row.id, moment(row.created_at.isoformat()), row.person or "-", row.action, row.target)
            for row in found.items
        ),
    )
    if found.total > len(found.items):
        click.echo(f"... and {found.total - len(found.items)} earlier; see all with --export FILE")


def verify_audit(settings: Settings) -> bool:
    """Print the result; True if the audit is intact."""
    with _open(settings) as sessions, sessions() as session:
        check = check_audit(session, settings.data_dir)
    if check.is_intact:
        click.echo(f"Audit chain verified: {check.rows} rows, up to row {check.last_id}")
    else:
        where = f" at row {check.broken}" if check.broken else ""
        click.echo(f"Audit chain verification failed{where}: {check.why}", err=True)
        click.echo(f"{check.rows} rows verified, up to row {check.last_id}", err=True)
    return check.is_intact


def export_audit(settings: Settings, output: Path) -> None:
    format_ = SUFFIXES.get(output.suffix.lower())
    if format_ is None:
        raise UsageProblem(f"{output}: expected a name that ends in .csv or .jsonl")
    with _open(settings) as sessions:
        with sessions.begin() as session:
            record_by_admin(session, "audit.exported")
        with sessions() as session:
            lines = audit_lines(iter_audit(session, EVERYTHING), cast(Format, format_))
            save_whole(lines, output)


@contextmanager
def _open(settings: Settings) -> Iterator[Sessions]:
    file = make_url(settings.database).database if settings.is_sqlite else None
    if file and not Path(file).exists():  # connecting would make it
        raise UsageProblem(f"{settings.data} has no database: no service has run there")
    try:
        with open_database(settings) as sessions:
            yield sessions
    except SQLAlchemyError as error:
        name = type(error).__name__
        raise Failed(f"the database cannot be read ({name}); see: overread doctor") from None
