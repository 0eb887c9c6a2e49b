"""Tables on the terminal, and output files."""

import heapq
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click

from cli.errors import UsageProblem
from pipeline.atomic_file import write_file
from pipeline.text import plural, read_as, readable

ROWS = 40
FIGURES = ("probability", "threshold", "unfamiliarity")
MIN_WIDTH = 72  # below it, the terminal wraps lines rather than columns losing their content
WIDE = 120  # below it, the table has no unfamiliarity, so that names and notes have room


def console() -> Any:
    from rich.console import Console

    # A file or pipe has no width; truncated names would be useless there.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 200
    return Console(highlight=False, width=max(MIN_WIDTH, width))


def print_table(columns: Iterable[Any], rows: Iterable[Iterable[object]]) -> None:
    """columns: names, or `Column`s of rich. Values are made safe; brackets are not markup."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text("" if value is None else readable(str(value))) for value in row))
    console().print(table)


class ResultTable:
    """Keeps the rows worth showing of any number: rejected ones, then the most probable."""

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._kept: list[tuple[float, int, dict[str, Any]]] = []
        self._seen = 0
        self._models: set[str] = set()

    def add(self, result: dict[str, Any]) -> None:
        self._seen += 1
        if result["probability"] is not None:
            self._models.add(_model_line(result))
        # The count breaks ties: earlier is greater, and dicts are never compared.
        item = (_weight(result), -self._seen, result)
        if len(self._kept) < self._rows:
            heapq.heappush(self._kept, item)
        else:
            heapq.heappushpop(self._kept, item)

    def print(self) -> None:
        from rich.table import Column

        figures = FIGURES if console().width >= WIDE else FIGURES[:2]
        short = (Column(name, no_wrap=True) for name in ("finding", *figures))
        print_table(
            (Column("file", overflow="fold"), *short, Column("notes", overflow="fold")),
            (_row(result, figures) for _, _, result in sorted(self._kept, reverse=True)),
        )
        if self._seen > len(self._kept):
            click.echo(f"... and {self._seen - len(self._kept)} more")
        for line in sorted(self._models):
            click.echo(readable(line))


def _weight(result: dict[str, Any]) -> float:
    if result["status"] != "predicted" or result["finding"] is None:
        return 2.0
    return float(result["probability"])


def _model_line(result: dict[str, Any]) -> str:
    """Version, threshold and calibration, which every probability needs beside it."""
    temperature = result["temperature"]
    calibration = (
        "calibration not recorded"
        if temperature is None
        else f"calibrated with temperature {temperature:.3g}"
    )
    threshold = f"threshold {result['threshold']:.3f}, {result['operating_point']}"
    population = result.get("population")  # services of earlier releases say none
    whose = f"; {read_as(population)}" if population else ""
    return f"{result['model_version']}: {threshold}; {calibration}{whose}"


def _row(result: dict[str, Any], figures: Sequence[str]) -> tuple[str, ...]:
    numbers = (result[name] for name in figures)
    finding = result["finding"] or ("no finding" if result["status"] == "predicted" else "-")
    notes = "; ".join([*filter(None, [result["reason"]]), *result["warnings"]])
    shown = (f"{number:.3f}" if number is not None else "-" for number in numbers)
    return (result["file"], finding, *shown, notes)


def moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


LISTED_JOBS = 50
STATES = ("received", "ready", "predicted", "rejected", "failed", "cancelled")
NOT_ARRIVED = ("missing", "given_up")


def print_jobs(jobs: Iterable[Mapping[str, Any]], *, as_json: bool, url: str) -> None:
    """Print a table of the first jobs, or all as JSON lines. url: the portal's."""
    if as_json:
        for job in jobs:
            click.echo(json.dumps(job))
        return
    from rich.table import Column

    # Fits a terminal of 80 columns: all counts are in one column, without zeros.
    columns = (
        # Identifiers are copied, so they are never shortened.
        Column("id", no_wrap=True, min_width=32),
        Column("name", overflow="fold", min_width=4),
        Column("state", no_wrap=True, min_width=9),
        Column("images", overflow="fold", min_width=9),
    )
    remaining = iter(jobs)
    first = islice(remaining, LISTED_JOBS)
    print_table(
        columns, ((job["id"], job["name"], _job_state(job), job_counts(job)) for job in first)
    )
    if next(remaining, None) is not None:
        click.echo(f"... and earlier ones; --json prints all jobs, and {url}/jobs lists them")


def job_counts(job: Mapping[str, Any]) -> str:
    """Count images by state, then declared files that have not arrived."""
    images = ", ".join(f"{job[state]} {state}" for state in STATES if job[state])
    files = ", ".join(
        f"{plural(job[name], 'file')} {name.replace('_', ' ')}" for name in NOT_ARRIVED if job[name]
    )
    return "; ".join(part for part in (images, files) if part) or "none"


def _job_state(job: Mapping[str, Any]) -> str:
    if job["cancelled_at"] is not None:
        return "cancelled"
    if job["finished"]:
        return "finished"
    return "open" if job["closed_at"] is None else "reading"


def save_whole(lines: Iterable[str], output: Path) -> None:
    """Write a text file atomically; links are followed, pipes and devices are written to.

    Raises UsageProblem.
    """
    content = (line.encode() for line in lines)
    try:
        if output.exists() and not output.is_file():
            with output.open("wb") as file:
                file.writelines(content)
        else:
            write_file(Path(os.path.realpath(output)), content, mode=0o666)
    except OSError as error:
        raise UsageProblem(f"{output}: cannot be written: {error.strerror}") from None


def make_folder(folder: Path) -> None:
    """Raises UsageProblem."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageProblem(f"{folder}: cannot be created: {error.strerror}") from None
