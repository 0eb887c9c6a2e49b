"""Locks between processes on one machine: a file with `flock`, which dies with its holder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_INTERVAL_S = 0.02


class LockedError(Exception):
    """Another process, or another part of this one, holds the lock."""


@contextmanager
def file_lock(path: Path, *, shared: bool = False, timeout_s: float | None = 0.0) -> Iterator[int]:
    """Hold the lock of a file, which is created; yields its descriptor, open to read and write.

    The file may be deleted while it is locked. Without a timeout it waits as long as it takes.
    Raises LockedError.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if _lock(descriptor, shared=shared, wait=deadline is None):
                if is_same_file(path, descriptor):
                    yield descriptor
                    return
            elif deadline is not None and time.monotonic() >= deadline:
                raise LockedError(path)
            else:
                time.sleep(POLL_INTERVAL_S)
        finally:
            os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock alone. Needs no right to write."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor, shared=True, wait=False)
    finally:
        os.close(descriptor)


def is_same_file(path: Path, descriptor: int) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock(descriptor: int, *, shared: bool, wait: bool) -> bool:
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
