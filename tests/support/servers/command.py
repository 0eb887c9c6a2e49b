"""Runs `overread` in this process."""

from click.testing import CliRunner, Result

from cli.main import main


def run(*arguments: object, **environment: str) -> Result:
    """environment: for example OVERREAD_DATA."""
    return CliRunner(env=environment).invoke(main, [str(argument) for argument in arguments])
