"""`overread audit`: print, verify and export the audit, from the database itself."""

import sys
from pathlib import Path

import click

from cli.admin.database import opened_database
from cli.errors import UsageProblem
from cli.output import ROWS, moment, print_table, save_whole
from cli.params import GivenPath
from cli.settings import read_settings
from models.audit.lists import AuditFilter, iter_audit, list_audit_page
from models.audit.verify import check_audit
from models.config.secrets import read_secrets
from models.operations.upgrade import record_by_admin
from models.session import Sessions
from web.operations.audit import Format, audit_lines

EVERYTHING = AuditFilter()
SUFFIXES: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl"}


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
    settings = read_settings()
    format_ = SUFFIXES.get(export.suffix.lower()) if export else None
    if export and format_ is None:
        raise UsageProblem(f"{export}: expected a name that ends in .csv or .jsonl")
    with opened_database(settings) as sessions:
        if export and format_:
            export_audit(sessions, export, format_)
        if verify:
            sys.exit(0 if verify_audit(sessions, settings.data_dir) else 1)
        if not export:
            print_audit(sessions)


def print_audit(sessions: Sessions) -> None:
    from rich.table import Column

    with sessions() as session:
        found = list_audit_page(session, EVERYTHING, page_size=ROWS)
    print_table(
        (Column("row", justify="right"), "when", "person", "action", "on"),
        (
            (row.id, moment(row.created_at.isoformat()), row.person or "-", row.action, row.target)
            for row in found.items
        ),
    )
    earlier = (found.total or 0) - len(found.items)
    if earlier > 0:
        click.echo(f"... and {earlier} earlier; see all with --export FILE")


def verify_audit(sessions: Sessions, data_dir: Path) -> bool:
    """Print the result; True if the audit is intact."""
    key = read_secrets(data_dir).identity_key
    check = check_audit(sessions, data_dir, key=key)
    if check.is_intact:
        click.echo(f"Audit chain verified: {check.rows} rows, up to row {check.last_id}")
    else:
        where = f" at row {check.broken}" if check.broken else ""
        click.echo(f"Audit chain verification failed{where}: {check.why}", err=True)
        click.echo(f"{check.rows} rows verified, up to row {check.last_id}", err=True)
    return check.is_intact


def export_audit(sessions: Sessions, output: Path, format_: Format) -> None:
    with sessions.begin() as session:
        record_by_admin(session, "audit.exported")
    with sessions() as session:
        save_whole(audit_lines(iter_audit(session, EVERYTHING), format_), output)
