"""`overread doctor`"""

import sys

import click


@click.command()
def doctor() -> None:
    """Say what is set, what is reachable, and what is wrong. Exit code 1: something is."""
    from cli.checks import check_everything
    from cli.settings import read_settings
    from cli.shown_settings import shown_settings

    settings = read_settings()
    click.echo("Settings (OVERREAD_...)")
    for name, value, is_set in shown_settings(settings):
        click.echo(f"  {'*' if is_set else ' '} {name:<24} {value}")
    click.echo("  * set, others by default\n\nChecks")
    findings = []
    for finding in check_everything(settings):
        findings.append(finding)
        click.echo(f"  {finding.mark:<5} {finding.what:<10} {finding.says}")
    sys.exit(1 if any(finding.is_wrong for finding in findings) else 0)
