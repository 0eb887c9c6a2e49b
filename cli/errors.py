"""One clear line on stderr and the exit code that a script can rely on.

What may go wrong in any command and is no mistake of the program's: one line, an exit code.

What goes wrong with disks and databases, in one line that says what became of the work.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

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


@contextmanager
def in_one_line() -> Iterator[None]:
    """Instead of a traceback, wherever it is not our own mistake."""
    try:
        yield
    except KeyboardInterrupt:
        _say_interrupted()
    except Exception as error:
        _say_if_interrupted(error)
        _say_if_not_text(error)
        _say_if_of_the_database(error)
        _say_if_of_the_machine(error)
        raise


def _say_interrupted() -> NoReturn:
    raise Interrupted("interrupted") from None


def _say_if_interrupted(error: BaseException) -> None:
    """Libraries that are interrupted while they are loaded make an error of their own of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            _say_interrupted()
        cause = cause.__cause__ if cause.__suppress_context__ else cause.__context__


def _say_if_not_text(error: Exception) -> None:
    """Paths may hold any bytes; names, reasons and ids go to the service as text."""
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        raise UsageProblem("what was given is no text in UTF-8") from None


def _say_if_of_the_machine(error: Exception) -> None:
    """A disk that is full, a folder that is not ours: nobody's mistake that a traceback shows."""
    if isinstance(error, OSError) and error.strerror and error.errno != errno.EPIPE:
        what = readable(f"{error.filename}: " if error.filename else "")
        raise Failed(f"{what}{error.strerror}") from None


def _say_if_of_the_database(error: Exception) -> None:
    if "sqlalchemy" not in sys.modules:
        return  # most commands have no use for it, and start faster without
    from sqlalchemy.exc import DatabaseError

    from models.operations.upgrade import HalfRestoredError, NewerReleaseError
    from models.session import AWAY, why_away

    if isinstance(error, AWAY):
        raise Failed(f"the database does not answer: {why_away(error)}") from None
    if type(error) is DatabaseError:  # SQLite's word for a file that is damaged, or is none of its
        raise Failed(f"the database cannot be read: {why_away(error)}") from None
    if isinstance(error, HalfRestoredError | NewerReleaseError):
        raise Failed(str(error)) from None


@contextmanager
def in_plain_words(place: Path, *, outcome: str) -> Iterator[None]:
    """place: named where the error names none. outcome: such as "nothing was saved"."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {outcome}") from None
    except OSError as error:
        # What is copied is named where there is no room for the copy.
        where = place if error.errno == errno.ENOSPC else error.filename or place
        why = error.strerror or error
        raise Failed(f"{where}: {why}; {outcome}") from None
    except Exception as error:
        if "sqlalchemy" not in sys.modules:
            raise
        from sqlalchemy.exc import DBAPIError

        from models.session import why_away

        if not isinstance(error, DBAPIError):
            raise
        raise Failed(f"the database: {why_away(error)}; {outcome}") from None
