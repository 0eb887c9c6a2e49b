"""Whether there is room for what comes in. A full disk is said in time, and never half-taken."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.errors import DiskFull
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from models.context import AppContext

RETRY_AFTER_S = 60
_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFullError(HTTPException):
    code = 507

    def __init__(self) -> None:
        super().__init__(
            "the service's disk is nearly full; try again later: what has arrived is safe"
        )

    def get_headers(self, *args: object) -> list[tuple[str, str]]:
        return [("Retry-After", str(RETRY_AFTER_S))]


def check_room(context: AppContext, *, wanted: int = 0) -> None:
    """wanted: bytes that are about to come."""
    folder = _existing(context.store.root)
    if shutil.disk_usage(folder).free - wanted < context.settings.disk_reserve_bytes:
        raise DiskFullError


@contextmanager
def noticing_full_disk() -> Iterator[None]:
    """Whoever met the end of the disk within: the answer is the same."""
    try:
        yield
    except (OSError, DBAPIError) as error:
        if is_full(error):
            raise DiskFullError from error
        raise


def is_full(error: BaseException) -> bool:
    """Of our own files, of SQLite's, or on PostgreSQL's machine."""
    if isinstance(error, DBAPIError):
        cause = error.orig
        full = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        return full or isinstance(cause, DiskFull)
    return isinstance(error, OSError) and error.errno in _FULL


def _existing(folder: Path) -> Path:
    """Itself, or the nearest above it that is there."""
    return next(one for one in (folder, *folder.parents) if one.exists())
