"""`overread audit`"""

import sys
from pathlib import Path

import click

from cli.given_path import GivenPath


@click.command()
@click.option("--verify", is_flag=True, help="Look at every row and anchor; exit code 1: broken.")
@click.option(
    "--export",
    metavar="FILE",
    type=GivenPath(dir_okay=False),
    help="Save every row: .csv or .jsonl.",
)
def audit(verify: bool, export: Path | None) -> None:
    """Print the newest rows of the audit; verify it; save it.

    Reads the database itself, on a machine that has the data folder; no service need run.
    """
    from cli.auditing import export_audit, print_audit, verify_audit
    from cli.settings import read_settings

    settings = read_settings()
    if export:
        export_audit(settings, export)
    if verify:
        sys.exit(0 if verify_audit(settings) else 1)
    if not export:
        print_audit(settings)
