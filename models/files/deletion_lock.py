"""While a backup is made, nothing is deleted from the file store; the hourly tidy deletes it later.

Whoever deletes has found in the database before that no row needs the file. Either the backup sees
the database as it was then, or the deletion sees the lock; so a backup's rows have their files.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from models.file_lock import LockedError, file_lock
from models.files.presence import is_away, require_store

GATE_FILE = "backup.gate"  # held by a backup from beginning to end, so that no deletion starts
LOCK_FILE = "backup.lock"  # shared by the deletions under way, for whose end a backup waits
GATE_TIMEOUT_S = 3.0  # deletions hold the gate for microseconds, another backup for longer


class BackupRunningError(Exception):
    """Another backup of this file store is running."""


@contextmanager
def hold_deletions(root: Path) -> Iterator[None]:
    """root: of the file store. Raises BackupRunningError and StoreAwayError."""
    require_store(root)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as locks:
        try:
            locks.enter_context(file_lock(root / GATE_FILE, timeout_s=GATE_TIMEOUT_S))
        except LockedError:
            raise BackupRunningError from None
        locks.enter_context(file_lock(root / LOCK_FILE, timeout_s=None))
        yield


@contextmanager
def deleting(root: Path) -> Iterator[bool]:
    """Whether files may be deleted inside the `with` block."""
    if is_away(root):
        yield False
        return
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as locks:
        try:
            locks.enter_context(file_lock(root / LOCK_FILE, shared=True))
            with file_lock(root / GATE_FILE, shared=True):
                may_delete = True
        except LockedError:
            may_delete = False
        yield may_delete
