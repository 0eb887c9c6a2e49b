"""`overread doctor`"""

import os
import re
import sys
from typing import TYPE_CHECKING

import click

from pipeline.text import readable

if TYPE_CHECKING:
    from cli.settings import CommandSettings


@click.command()
def doctor() -> None:
    """Print the settings and check the installation.

    Every check runs, whatever the ones before it found: ok; - (absent, and not needed yet);
    WARNING (it works, but look at it); WRONG.

    Exit code 0: nothing is WRONG; 1: something is.
    """
    from cli.service.checks import run_checks
    from cli.settings import shown_settings

    settings, problems = _read_settings()
    click.echo("Settings (OVERREAD_...)")
    for name, value, is_set in shown_settings(settings):
        click.echo(f"  {'*' if is_set else ' '} {name:<24} {readable(value)}")
    click.echo("  * set; all others are defaults\n\nChecks")
    for problem in problems:
        _print("WRONG", "settings", f"{problem}; the checks go on without it")
    any_wrong = bool(problems)
    for finding in run_checks(settings):
        any_wrong = any_wrong or finding.status == "WRONG"
        _print(finding.status, finding.check, finding.message)
    sys.exit(1 if any_wrong else 0)


def _read_settings() -> "tuple[CommandSettings, list[str]]":
    """Without the variables that are wrong, and a line on each of these."""
    from cli.errors import UsageProblem
    from cli.settings import CommandSettings
    from models.config.settings import SettingsError

    problems: list[str] = []
    while True:
        try:
            return CommandSettings.read(), problems
        except SettingsError as error:
            problems.append(str(error))
            names = _named_first(str(error)) or _named(str(error))
            if not names:
                raise UsageProblem(str(error)) from None
            for name in names:
                del os.environ[name]


def _named_first(message: str) -> list[str]:
    wrong = message.partition(":")[0].upper()
    return [name for name in os.environ if name.upper() == wrong]


def _named(message: str) -> list[str]:
    """What is wrong may be a default beside what was set."""
    variables = re.findall("OVERREAD_[A-Z_]+", message.upper())
    return [name for name in os.environ if name.upper() in variables]


def _print(status: str, check: str, message: str) -> None:
    click.echo(f"  {status:<5} {check:<10} {readable(message)}")
