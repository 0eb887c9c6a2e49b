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

GATE_FILE = "backup.gate"  # held by a backup from its beginning to its end
LOCK_FILE = "backup.lock"  # shared by the deletions in hand, whose end a backup waits for
WAIT_S = 3.0  # who only looks at the gate holds it for microseconds
ASK_EVERY_S = 0.02


class BackupRunningError(Exception):
    """Another backup of this file store has not ended."""


@contextmanager
def hold_deletions(root: Path) -> Iterator[None]:
    """root: of the file store. Raises BackupRunningError."""
    with _opened(root / GATE_FILE) as gate, _opened(root / LOCK_FILE) as lock:
        give_up_at = time.monotonic() + WAIT_S
        while not _take(gate, fcntl.LOCK_EX | fcntl.LOCK_NB):
            if time.monotonic() > give_up_at:
                raise BackupRunningError
            time.sleep(ASK_EVERY_S)
        _take(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def deleting(root: Path) -> Iterator[bool]:
    """Whether files may be deleted inside the `with` block."""
    with _opened(root / LOCK_FILE) as lock:
        yield _take(lock, fcntl.LOCK_SH | fcntl.LOCK_NB) and _is_open(root / GATE_FILE)


def _is_open(path: Path) -> bool:
    with _opened(path) as gate:
        return _take(gate, fcntl.LOCK_SH | fcntl.LOCK_NB)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Closing it drops the lock, as does the end of the process."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind)
    except BlockingIOError:
        return False
    return True
