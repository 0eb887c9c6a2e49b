"""One clear line on stderr and the exit code that a script can rely on."""

import click

from pipeline.text import readable


class _OneLine(click.ClickException):
    def format_message(self) -> str:
        return readable(self.message)  # it may name a file


class UsageProblem(_OneLine):
    """What was asked for cannot be done as asked; trying again changes nothing."""

    exit_code = 2


class Failed(_OneLine):
    """It was asked for rightly and did not work."""

    exit_code = 1


class Interrupted(_OneLine):
    """Ctrl-C, as shells report it."""

    exit_code = 130
