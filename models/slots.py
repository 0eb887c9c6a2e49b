"""Bounds for slow work in a process whose few threads must not all wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

WAIT_S = 1.0
RETRY_AFTER_S = 3  # longer than idle connections are kept, which clients would find closed


class BusyError(Exception):
    """Too much of one kind of work is in progress; the same request will succeed later."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the service is busy with other {what}; try again in a moment")


class Slots:
    """At most `size` threads do one kind of work; `waiting` more wait for them, for a second."""

    def __init__(self, what: str, size: int, *, waiting: int = 0) -> None:
        self.size, self.threads = size, size + waiting
        self._what = what
        self._admitted = BoundedSemaphore(self.threads)
        self._working = BoundedSemaphore(size)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises BusyError."""
        if not self._admitted.acquire(blocking=False):
            raise BusyError(self._what)
        try:
            if not self._working.acquire(timeout=WAIT_S):
                raise BusyError(self._what)
            try:
                yield
            finally:
                self._working.release()
        finally:
            self._admitted.release()
