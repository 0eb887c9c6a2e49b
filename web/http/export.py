"""Tables as downloads: CSV for spreadsheets, JSON lines for programs, streamed.

Text that looks like a formula is guarded. All text is quoted: a semicolon in a file name would
start a new cell where semicolons separate cells. Numbers stay numbers.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from datetime import datetime
from itertools import islice
from typing import Any

from flask import Response, stream_with_context

from models.slots import Slots
from pipeline.files.cells import guarded
from web.auth.rules import audit

MEDIA_TYPES = {
    "jsonl": "application/jsonl",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
}
LINES_A_WRITE = 200
EXPORT_SLOTS = Slots("exports", 4)  # each keeps a thread for as long as its client reads

Value = str | int | float | datetime | Sequence[str] | None


def download(
    lines: Iterable[str], *, name: str, kind: str, action: str, target: str = ""
) -> Response:
    """name: of the file, without extension. kind: a key of `MEDIA_TYPES`. action, target: for the
    audit. Raises BusyError, then without a row.
    """
    with ExitStack() as taken:
        taken.enter_context(EXPORT_SLOTS.take())
        audit(action, target)
        slot = taken.pop_all()
    blocks = stream_with_context(_blocks(lines, slot))
    answer = Response(blocks, content_type=MEDIA_TYPES[kind])
    answer.call_on_close(slot.close)  # also where nobody reads it, as after HEAD
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return answer


def csv_line(values: Iterable[Value]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_NONNUMERIC).writerow([_cell(value) for value in values])
    return line.getvalue()


def csv_lines(kind: type, rows: Iterable[Any]) -> Iterator[str]:
    """kind: the dataclass of the rows; its fields are the columns."""
    yield csv_line(field.name for field in fields(kind))
    for row in rows:
        yield csv_line(asdict(row).values())


def json_lines(rows: Iterable[Any]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(asdict(row), default=datetime.isoformat) + "\n"


def described(what: str, *kinds: str) -> dict[int | str, Any]:
    """The response to a download, for OpenAPI."""
    content: dict[str, Any] = {MEDIA_TYPES[kind].split(";")[0]: {"schema": {}} for kind in kinds}
    return {200: {"description": what, "content": content}}


def _cell(value: Value) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    return guarded(value if isinstance(value, str) else "; ".join(value))


def _blocks(lines: Iterable[str], slot: ExitStack) -> Iterator[str]:
    """Join lines: each write passes through all layers of the server."""
    rest = iter(lines)
    with slot:
        while block := list(islice(rest, LINES_A_WRITE)):
            yield "".join(block)
