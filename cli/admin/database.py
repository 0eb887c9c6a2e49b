"""The database of a service that has run here, for commands that read it directly."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from cli.errors import Failed, UsageProblem
from models.config.settings import Settings
from models.session import Sessions, open_database, sqlite_file, why_away


@contextmanager
def opened_database(settings: Settings) -> Iterator[Sessions]:
    """Raises UsageProblem and Failed."""
    file = sqlite_file(settings)
    if file and not file.exists():  # connecting would make it
        raise UsageProblem(f"{settings.data} has no database: no service has run there")
    try:
        with open_database(settings) as sessions:
            yield sessions
    except SQLAlchemyError as error:
        why = why_away(error)
        raise Failed(f"the database cannot be read: {why}; see: overread doctor") from None
