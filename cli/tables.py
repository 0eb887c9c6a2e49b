"""Tables for people: the most suspicious first, and no more rows than anyone reads."""

import heapq
import sys
from typing import Any

ROWS = 40


def console() -> Any:
    from rich.console import Console

    # A file or pipe has no width; cut-off names would be of no use there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


class ResultTable:
    """Keeps the rows worth showing, however many go by: refused ones, then by probability."""

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._kept: list[tuple[float, int, dict[str, Any]]] = []
        self._seen = 0
        self._readings: set[str] = set()

    def add(self, result: dict[str, Any]) -> None:
        self._seen += 1
        if result["probability"] is not None:
            self._readings.add(_reading(result))
        # The count breaks ties: earlier is greater, and dicts are never compared.
        item = (_weight(result), -self._seen, result)
        if len(self._kept) < self._rows:
            heapq.heappush(self._kept, item)
        else:
            heapq.heappushpop(self._kept, item)

    def print(self) -> None:
        from rich.table import Column, Table
        from rich.text import Text

        table = Table(
            Column("file", overflow="fold"),
            "finding",
            "probability",
            "threshold",
            "unfamiliarity",
            "says",
        )
        for _, _, result in sorted(self._kept, reverse=True):
            # Text, so that brackets in a file's name are not taken for markup.
            table.add_row(*(Text(cell) for cell in _cells(result)))
        console().print(table)
        if self._seen > len(self._kept):
            console().print(f"... and {self._seen - len(self._kept)} more")
        for line in sorted(self._readings):
            console().print(line, markup=False)


class JobTable:
    COLUMNS = ("id", "name", "total", "received", "ready", "predicted", "rejected", "failed")
    SELDOM = ("cancelled", "missing", "given_up")  # shown where some job has any

    def __init__(self) -> None:
        self._jobs: list[dict[str, Any]] = []

    def add(self, job: dict[str, Any]) -> None:
        self._jobs.append(job)

    def print(self) -> None:
        from rich.table import Column, Table
        from rich.text import Text

        seldom = (name for name in self.SELDOM if any(job[name] for job in self._jobs))
        columns = (*self.COLUMNS, *seldom)
        # An identifier is there to be copied: whole, whatever else has to give way.
        identifier = Column(columns[0], no_wrap=True, min_width=32)
        titles = (name.replace("_", " ") for name in columns[1:])
        table = Table(identifier, *titles, "state")
        for job in self._jobs:
            table.add_row(*(Text(str(job[name])) for name in columns), _job_state(job))
        console().print(table)


def _job_state(job: dict[str, Any]) -> str:
    if job["cancelled_at"] is not None:
        return "cancelled"
    if job["finished"]:
        return "finished"
    return "open" if job["closed_at"] is None else "reading"


def _weight(result: dict[str, Any]) -> float:
    if result["status"] != "predicted" or result["finding"] is None:
        return 2.0
    return float(result["probability"])


def _reading(result: dict[str, Any]) -> str:
    """What every probability needs beside it, in the portal's words."""
    temperature = result["temperature"]
    calibration = (
        "its calibration was not recorded"
        if temperature is None
        else f"calibrated with temperature {temperature:.3g}"
    )
    threshold = f"threshold {result['threshold']:.3f}, {result['operating_point']}"
    return f"{result['model_version']}: {threshold}; {calibration}"


def _cells(result: dict[str, Any]) -> tuple[str, ...]:
    numbers = (result[name] for name in ("probability", "threshold", "unfamiliarity"))
    finding = result["finding"] or ("no answer" if result["status"] == "predicted" else "-")
    says = "; ".join([*filter(None, [result["reason"]]), *result["warnings"]])
    shown = (f"{number:.3f}" if number is not None else "-" for number in numbers)
    return (result["file"], finding, *shown, says)
