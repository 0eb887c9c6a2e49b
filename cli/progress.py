"""Progress of a long command on stderr: a bar on a terminal, otherwise a line every 10 s."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

LINE_EVERY_S = 10.0


class Progress(Protocol):
    def show(self, done: float, *, total: int | None = None, note: str = "") -> None: ...

    def say(self, line: str) -> None:
        """Print a line above the bar."""


@contextmanager
def progress(what: str, *, total: int, unit: str = "") -> Iterator[Progress]:
    """unit: "%" if done and total are percentages."""
    if sys.stderr.isatty():
        with _bar(what, total, unit) as shown:
            yield shown
    else:
        yield _Lines(what, total, unit)


def time_left(elapsed_s: float, done: float, total: float) -> str:
    """Extrapolate the remaining time; empty while it would be a guess."""
    if done <= 0 or done >= total or elapsed_s < 5:
        return ""
    left_s = elapsed_s * (total - done) / done
    if left_s < 90:
        return f"about {max(10, 10 * round(left_s / 10))} s left"
    return f"about {round(left_s / 60)} min left"


def _count(done: float, total: int, unit: str) -> str:
    return f"{done:.0f} {unit}" if unit else f"{done:.0f} of {total}"


class _Lines:
    def __init__(self, what: str, total: int, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._start = self._last = time.monotonic()

    def show(self, done: float, *, total: int | None = None, note: str = "") -> None:
        self._total = total if total is not None else self._total
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_S:
            self._last = now
            left = time_left(now - self._start, done, self._total)
            parts = (_count(done, self._total, self._unit), left, note)
            self.say(f"{self._what}: {', '.join(part for part in parts if part)}")

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


@contextmanager
def _bar(what: str, total: int, unit: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    names = ("{task.fields[count]}", "{task.fields[left]}", "{task.fields[note]}")
    columns = (TextColumn("{task.description}"), BarColumn(), *map(TextColumn, names))
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, count="", left="", note="")
        yield _Bar(bar, task, total, unit)


class _Bar:
    def __init__(self, bar: Any, task: Any, total: int, unit: str) -> None:
        self._bar, self._task, self._total, self._unit = bar, task, total, unit
        self._start = time.monotonic()

    def show(self, done: float, *, total: int | None = None, note: str = "") -> None:
        self._total = total if total is not None else self._total
        self._bar.update(
            self._task,
            completed=done,
            total=self._total,
            count=_count(done, self._total, self._unit),
            left=time_left(time.monotonic() - self._start, done, self._total),
            note=note,
        )

    def say(self, line: str) -> None:
        self._bar.console.print(line, highlight=False, markup=False)
