"""The database of a service that has run here, for commands that read it directly."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from cli.errors import Failed, UsageProblem
from models.config.secrets import read_secrets
from models.config.settings import Settings
from models.installation import check_on_connect
from models.session import Sessions, open_database, sqlite_file, why_away


@contextmanager
def opened_database(settings: Settings) -> Iterator[Sessions]:
    """Raises UsageProblem, Failed and SecretsError."""
    file = sqlite_file(settings)
    if file and not file.exists():  # connecting would make it
        raise UsageProblem(f"{settings.data} has no database: no service has run there")
    try:
        with open_database(settings) as sessions:
            secrets = read_secrets(settings.data_dir)
            check_on_connect(sessions.engine, secrets, data_dir=settings.data_dir)
            yield sessions
    except SQLAlchemyError as error:
        why = why_away(error)
        raise Failed(f"the database cannot be read: {why}; see: overread doctor") from None
