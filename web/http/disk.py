"""Free space on disk: uploads are refused before it runs out."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from models.context import AppContext

RETRY_AFTER_S = 60
POSTGRESQL_DISK_FULL = "53100"  # its SQLSTATE


class DiskFullError(HTTPException):
    code = 507

    def __init__(self) -> None:
        super().__init__("the disk is nearly full; try again later; files that arrived are kept")

    def get_headers(self, *args: object) -> list[tuple[str, str]]:
        return [("Retry-After", str(RETRY_AFTER_S))]


def check_room(context: AppContext, *, wanted: int = 0) -> None:
    """Raise DiskFullError if writing `wanted` more bytes would use the reserve."""
    root = context.store.root
    folder = next(one for one in (root, *root.parents) if one.exists())
    if shutil.disk_usage(folder).free - wanted < context.settings.disk_reserve_bytes:
        raise DiskFullError


@contextmanager
def noticing_full_disk() -> Iterator[None]:
    """Turn errors of the file system and the database that mean a full disk into DiskFullError."""
    try:
        yield
    except (OSError, DBAPIError) as error:
        if is_full(error):
            raise DiskFullError from error
        raise


def is_full(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        cause = error.orig
        full = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        return full or getattr(cause, "sqlstate", None) == POSTGRESQL_DISK_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
