"""How far a long command is: a bar on a terminal, else a line now and then. Always on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LINE_EVERY_S = 10.0


class Progress(Protocol):
    def show(self, done: int, *, total: int | None = None, note: str = "") -> None: ...


@contextmanager
def progress(what: str, *, total: int) -> Iterator[Progress]:
    if sys.stderr.isatty():
        with _bar(what, total) as shown:
            yield shown
    else:
        yield _Lines(what, total)


class _Lines:
    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._last = what, total, time.monotonic()

    def show(self, done: int, *, total: int | None = None, note: str = "") -> None:
        self._total = total if total is not None else self._total
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_S:
            self._last = now
            print(f"{self._what}: {done} of {self._total} {note}".rstrip(), file=sys.stderr)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, note="")

        class Bar:
            def show(self, done: int, *, total: int | None = None, note: str = "") -> None:
                bar.update(task, completed=done, total=total, note=note)

        yield Bar()
