"""`overread doctor`"""

import sys

import click


@click.command()
def doctor() -> None:
    """Print the settings and check the installation. Exit code 1: something is wrong."""
    from cli.service.checks import run_checks
    from cli.settings import read_settings, shown_settings

    settings = read_settings()
    click.echo("Settings (OVERREAD_...)")
    for name, value, is_set in shown_settings(settings):
        click.echo(f"  {'*' if is_set else ' '} {name:<24} {value}")
    click.echo("  * set; all others are defaults\n\nChecks")
    any_wrong = False
    for finding in run_checks(settings):
        any_wrong = any_wrong or finding.status == "WRONG"
        click.echo(f"  {finding.status:<5} {finding.check:<10} {finding.message}")
    sys.exit(1 if any_wrong else 0)
