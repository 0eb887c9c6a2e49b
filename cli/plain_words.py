"""What goes wrong with disks and databases, in one line that says what became of the work."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from cli.fatal import Failed, Interrupted
from models.session import why_away


@contextmanager
def in_plain_words(place: Path, *, outcome: str) -> Iterator[None]:
    """place: named where the error names none. outcome: such as "nothing was saved"."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {outcome}") from None
    except DBAPIError as error:
        raise Failed(f"the database: {why_away(error)}; {outcome}") from None
    except OSError as error:
        # What is copied is named where there is no room for the copy.
        where = place if error.errno == errno.ENOSPC else error.filename or place
        why = error.strerror or error
        raise Failed(f"{where}: {why}; {outcome}") from None
