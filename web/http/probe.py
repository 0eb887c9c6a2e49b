"""Questions to things that may hang, such as a network drive, without waiting for long."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Probe(Generic[Answer]):
    """Asks in a thread of its own, one at a time. `ask` raises nothing."""

    def __init__(self, ask: Callable[[], Answer], *, lasts_s: float) -> None:
        self._ask, self._lasts_s = ask, lasts_s
        self._kept: tuple[float, Answer] | None = None
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Ask, unless the answer is recent or on its way."""
        with self._lock:
            if self._thread is None and self._answered(since=time.monotonic()) is None:
                self._began = time.monotonic()
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def get(self, *, since: float, until: float) -> Answer | None:
        """After `start` at `since`: None if there is no answer `until` (monotonic clock).

        What has hung for that long already is not waited for again.
        """
        thread, late = self._thread, self._began + until - since
        if thread is not None and self._answered(since=since) is None:
            thread.join(max(0.0, min(until, late) - time.monotonic()))
        answered = self._answered(since=since)
        return answered[1] if answered else None

    def _answered(self, *, since: float) -> tuple[float, Answer] | None:
        kept = self._kept
        return kept if kept and kept[0] >= since - self._lasts_s else None

    def _run(self) -> None:
        try:
            answer = self._ask()
            with self._lock:
                self._kept = time.monotonic(), answer
        finally:
            with self._lock:
                self._thread = None
