"""Runs `overread` in this process."""

from click.testing import CliRunner, Result

from cli.main import main
from models.config.settings import Settings


def run(*arguments: object, **environment: str) -> Result:
    """environment: for example OVERREAD_DATA."""
    return CliRunner(env=environment).invoke(main, [str(argument) for argument in arguments])


def run_on(settings: Settings, *arguments: object) -> Result:
    return run(
        *arguments, OVERREAD_DATA=str(settings.data), OVERREAD_DATABASE_URL=settings.database_url
    )
