"""Progress of a long command on stderr: a bar on a terminal, otherwise a line every 10 s."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

LINE_EVERY_S = 10.0


class Progress:
    def __init__(self, what: str, total: int, unit: str, bar: Any = None) -> None:
        """bar: of rich, with one task."""
        self._what, self._total, self._unit, self._bar = what, total, unit, bar
        self._start = self._last_line = time.monotonic()

    def show(self, done: float, *, total: int | None = None, note: str = "") -> None:
        self._total = self._total if total is None else total
        now = time.monotonic()
        count = f"{done:.0f} {self._unit}" if self._unit else f"{done:.0f} of {self._total}"
        left = time_left(now - self._start, done, self._total)
        if self._bar is not None:
            numbers = {"completed": done, "total": self._total}
            self._bar.update(self._bar.task_ids[0], **numbers, count=count, left=left, note=note)
        elif now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            self.say(f"{self._what}: {', '.join(filter(None, (count, left, note)))}")

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(what: str, *, total: int, unit: str = "") -> Iterator[Progress]:
    """unit: "%" if done and total are percentages."""
    if not sys.stderr.isatty():
        yield Progress(what, total, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    names = ("{task.fields[count]}", "{task.fields[left]}", "{task.fields[note]}")
    columns = (TextColumn("{task.description}"), BarColumn(), *map(TextColumn, names))
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        bar.add_task(what, total=total, count="", left="", note="")
        yield Progress(what, total, unit, bar)


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that gets stage, done and total, and shows one bar after the other."""
    with ExitStack() as bars:
        shown: dict[str, Progress] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in shown:
                bars.close()
                shown[stage] = bars.enter_context(progress(stage, total=total))
            shown[stage].show(done)

        yield show


def time_left(elapsed_s: float, done: float, total: float) -> str:
    """Extrapolate the remaining time; empty while it would be a guess."""
    if done <= 0 or done >= total or elapsed_s < 5:
        return ""
    left_s = elapsed_s * (total - done) / done
    if left_s < 90:
        return f"about {max(10, 10 * round(left_s / 10))} s left"
    return f"about {round(left_s / 60)} min left"
