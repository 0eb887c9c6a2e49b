"""An answer that is good for a moment, however many ask for it meanwhile."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Recent(Generic[Answer]):
    def __init__(self, ask: Callable[[], Answer], *, lasts_s: float) -> None:
        self._ask, self._lasts_s = ask, lasts_s
        self._answer: tuple[float, Answer] | None = None
        self._lock = threading.Lock()

    def get(self) -> Answer:
        """Of many who ask at once, one finds out, and the others wait for that."""
        with self._lock:
            if self._answer is None or time.monotonic() - self._answer[0] > self._lasts_s:
                answer = self._ask()
                self._answer = time.monotonic(), answer
            return self._answer[1]
