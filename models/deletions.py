"""While a backup is made nothing is deleted from the file store; what was to go waits for the tidy.

Who deletes has found in the database before that no row needs the file any more. Either the backup
sees the database as it was then, or the lock is seen here; so a backup's rows have their files.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = "backup.lock"
WAIT_S = 3.0  # deletions in hand take milliseconds
ASK_EVERY_S = 0.02


class BackupRunningError(Exception):
    """Another backup of this file store has not ended."""


@contextmanager
def hold_deletions(root: Path) -> Iterator[None]:
    """Waits for the deletions in hand. root: of the file store. Raises BackupRunningError."""
    with _opened(root) as lock:
        give_up_at = time.monotonic() + WAIT_S
        while not _take(lock, fcntl.LOCK_EX):
            if time.monotonic() > give_up_at:
                raise BackupRunningError
            time.sleep(ASK_EVERY_S)
        yield


@contextmanager
def deleting(root: Path) -> Iterator[bool]:
    """Whether files may be deleted inside the `with` block."""
    with _opened(root) as lock:
        yield _take(lock, fcntl.LOCK_SH)


@contextmanager
def _opened(root: Path) -> Iterator[int]:
    """Closing it drops the lock, as does the end of the process."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(root / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
