"""The audit for people at a terminal, from the database itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import click
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from cli.deeds import record_deed
from cli.fatal import Failed, UsageProblem
from cli.files import save_whole
from cli.tables import ROWS, cells, console
from cli.version_table import moment
from models.audit.lists import AuditFilter, iter_audit, list_audit_page
from models.audit.verify import check_audit
from models.config.settings import Settings
from models.session import Sessions, make_engine, make_session_factory
from web.operations.audit import Format, audit_lines

EVERYTHING = AuditFilter()
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl"}


def print_audit(settings: Settings) -> None:
    from rich.table import Column, Table

    table = Table(Column("row", justify="right"), "when", "person", "action", "on")
    with _open(settings) as sessions, sessions() as session:
        found = list_audit_page(session, EVERYTHING, page_size=ROWS)
    for row in found.items:
        when = moment(row.created_at.isoformat())
        table.add_row(*cells(row.id, when, row.person or "-", row.action, row.target))
    console().print(table)
    if found.total > len(found.items):
        click.echo(f"... and {found.total - len(found.items)} earlier: --export FILE has them all")


def verify_audit(settings: Settings) -> bool:
    """Prints what was found; whether that is nothing."""
    with _open(settings) as sessions, sessions() as session:
        check = check_audit(session, settings.data_dir)
    if check.is_intact:
        click.echo(f"intact: {check.rows} rows are as written, up to row {check.last_id}")
    else:
        where = f" at row {check.broken}" if check.broken else ""
        click.echo(f"BROKEN{where}: {check.why}", err=True)
        click.echo(f"{check.rows} rows are as written, up to row {check.last_id}", err=True)
    return check.is_intact


def export_audit(settings: Settings, output: Path) -> None:
    format_ = SUFFIXES.get(output.suffix.lower())
    if format_ is None:
        raise UsageProblem(f"{output}: expected a name that ends in .csv or .jsonl")
    with _open(settings) as sessions:
        with sessions.begin() as session:
            record_deed(session, "audit.exported")
        with sessions() as session:
            lines = audit_lines(iter_audit(session, EVERYTHING), cast(Format, format_))
            save_whole(lines, output)


@contextmanager
def _open(settings: Settings) -> Iterator[Sessions]:
    file = make_url(settings.database).database if settings.is_sqlite else None
    if file and not Path(file).exists():  # connecting would make it
        raise UsageProblem(f"{settings.data} holds no database: no service has run there")
    engine = make_engine(settings)
    try:
        yield make_session_factory(engine)
    except SQLAlchemyError as error:
        name = type(error).__name__
        raise Failed(f"the database cannot be read ({name}); see: overread doctor") from None
    finally:
        engine.dispose()
