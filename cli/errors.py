"""Errors of commands: one line on stderr and an exit code that scripts can rely on."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pipeline.errors import PipelineError
from pipeline.text import readable


class OneLineReport(click.ClickException):
    def format_message(self) -> str:
        return readable(self.message)  # it may contain a file name


class UsageProblem(OneLineReport):
    """The request is invalid; trying again changes nothing."""

    exit_code = 2


class Failed(OneLineReport):
    """The request was valid and could not be fulfilled."""

    exit_code = 1


class Interrupted(OneLineReport):
    """Ctrl-C; the exit code is that of shells."""

    exit_code = 130


@contextmanager
def one_line_errors(place: Path | None = None, *, outcome: str = "") -> Iterator[None]:
    """Report errors that are not bugs in one line instead of a traceback.

    place: named where an error names no file. outcome: ends the line, e.g. "nothing was saved".
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if found := _command_error(error, place):
            # These say themselves what to do.
            if outcome and not isinstance(error, PipelineError | UnicodeEncodeError):
                found = type(found)(f"{found.message}; {outcome}")
            raise found from None
        raise


def _command_error(error: BaseException, place: Path | None) -> OneLineReport | None:
    if _is_interrupt(error):
        return Interrupted("interrupted")
    # Paths may contain any bytes; names, reasons and ids are sent to the service as text.
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return UsageProblem("argument is not valid UTF-8")
    if isinstance(error, PipelineError):
        return Failed(str(error))
    if "sqlalchemy" in sys.modules and (found := _database_error(error)):
        return found
    if isinstance(error, OSError) and (error.strerror or place) and error.errno != errno.EPIPE:
        what, where = error.strerror or str(error), error.filename or place
        # A full disk is that of `place`; the error may name the file that was to be copied there.
        where = place if place and error.errno == errno.ENOSPC else where
        return Failed(f"{where}: {what}" if where else what)
    return None


def _is_interrupt(error: BaseException | None) -> bool:
    """Libraries that are interrupted while they are imported raise an error of their own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ if error.__suppress_context__ else error.__context__
    return error is not None


def _database_error(error: BaseException) -> Failed | None:
    from sqlalchemy.exc import DatabaseError

    from models.session import AWAY, lacks_rights, why_away

    if isinstance(error, AWAY):
        what = "refuses access" if lacks_rights(error) else "does not answer"
        return Failed(f"the database {what}: {why_away(error)}")
    if type(error) is DatabaseError:  # SQLite: the file is damaged, or not a database
        return Failed(f"the database cannot be read: {why_away(error)}")
    return None
