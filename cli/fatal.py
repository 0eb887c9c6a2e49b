"""One clear line on stderr and the exit code that a script can rely on."""

import click


class UsageProblem(click.ClickException):
    """What was asked for cannot be done as asked; trying again changes nothing."""

    exit_code = 2


class Failed(click.ClickException):
    """It was asked for rightly and did not work."""

    exit_code = 1


class Interrupted(click.ClickException):
    """Ctrl-C, as shells report it."""

    exit_code = 130
