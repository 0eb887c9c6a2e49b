"""Rows as lines of JSON, the same from either database: gzipped, one file a table.

The first line names the columns and their kinds; so a later release can read an earlier one's.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    LargeBinary,
    Table,
    TableClause,
    column,
    select,
    table,
)
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.types import NullType, TypeEngine

from models.base import UtcDateTime

ROWS_AT_ONCE = 1000
Report = Callable[[int], None]  # told how many rows more are done

_KINDS: dict[str, TypeEngine[Any]] = {
    "time": UtcDateTime(),
    "bytes": LargeBinary(),
    "json": JSON(none_as_null=True),
    "bool": Boolean(),
    "plain": NullType(),
}
_TO_JSON: dict[str, Callable[[Any], Any]] = {
    "time": datetime.isoformat,
    "bytes": lambda content: base64.b64encode(content).decode(),
}
_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "time": datetime.fromisoformat,
    "bytes": base64.b64decode,
}


# What json, gzip and SQLAlchemy's types raise at something else.
NOT_LINES = (
    *(ValueError, LookupError, TypeError, AttributeError),
    *(EOFError, gzip.BadGzipFile, zlib.error, StatementError),
)


class NotLinesError(ValueError):
    """A file that no `write_table` wrote."""


def write_table(connection: Connection, source: Table, path: Path, *, report: Report) -> int:
    """Returns the number of rows. The caller's transaction decides of which moment they are."""
    kinds = {one.name: _kind(one) for one in source.columns}
    plain = _plain_table(source.name, kinds)
    convert = [_TO_JSON.get(kind) for kind in kinds.values()]
    rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(
        select(plain).order_by(*(plain.c[key.name] for key in source.primary_key))
    )
    count = 0
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=6) as lines:
        lines.write(json.dumps({"table": source.name, "columns": kinds}) + "\n")
        for part in rows.partitions(ROWS_AT_ONCE):
            lines.writelines(json.dumps(_converted(row, convert)) + "\n" for row in part)
            count += len(part)
            report(len(part))
    return count


def read_table(connection: Connection, path: Path, *, name: str, report: Report) -> int:
    """Adds the rows to the table of this name; returns their number. Raises NotLinesError."""
    count = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            kinds = _header(next(lines, ""), name)
            target = _plain_table(name, kinds)
            rows = _rows(lines, kinds)
            while some := list(islice(rows, ROWS_AT_ONCE)):
                connection.execute(target.insert(), some)
                count += len(some)
                report(len(some))
    except DBAPIError:
        raise
    except NOT_LINES as error:
        kind = type(error).__name__  # its text may hold a file's name
        raise NotLinesError(f"{path}: no rows of {name} after row {count} ({kind})") from None
    return count


def _rows(lines: Iterator[str], kinds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    convert = [_FROM_JSON.get(kind) for kind in kinds.values()]
    for line in lines:
        yield dict(zip(kinds, _converted(json.loads(line), convert), strict=True))


def _header(line: str, name: str) -> dict[str, str]:
    header = json.loads(line)
    if header["table"] != name:
        raise ValueError(f"they are of {header['table']}")
    return dict(header["columns"])


def _converted(row: Sequence[Any], convert: Sequence[Callable[[Any], Any] | None]) -> list[Any]:
    return [
        change(value) if change is not None and value is not None else value
        for value, change in zip(row, convert, strict=True)
    ]


def _plain_table(name: str, kinds: Mapping[str, str]) -> TableClause:
    return table(name, *(column(one, _KINDS[kind]) for one, kind in kinds.items()))


def _kind(one: Column[Any]) -> str:
    kinds: tuple[tuple[str, tuple[type, ...]], ...] = (
        ("time", (UtcDateTime, DateTime)),
        ("bytes", (LargeBinary,)),
        ("json", (JSON,)),
        ("bool", (Boolean,)),
    )
    return next((kind for kind, types in kinds if isinstance(one.type, types)), "plain")
