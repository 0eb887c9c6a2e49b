"""A whole database as files, and back: from SQLite to PostgreSQL and the other way, too.

Rows as lines of JSON, the same from either database: gzipped, one file a table.

The first line names the columns and their kinds; so a later release can read an earlier one's.

What was in hand when a database was copied, and does not hold for its copy.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    String,
    Table,
    TableClause,
    column,
    delete,
    func,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType, TypeEngine

from models.base import Base, UtcDateTime, now
from models.operations.upgrade import alembic_config, current_revision, newest_revision
from models.tables import learning as learning_tables  # noqa: F401  adds its tables to the metadata
from models.tables.intake import WAITING_STATES, Image, Upload
from models.tables.learning import Night
from models.tables.people import Login, Token

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


@dataclass(frozen=True)
class DatabaseCopy:
    """rows: by table, those first that others refer to.

    last_ids: the highest that was ever given out, so that no id comes to mean something else.
    """

    revision: str
    rows: Mapping[str, int]
    last_ids: Mapping[str, int]


class UnknownRevisionError(Exception):
    """One sentence: these tables are not those of this release."""


@contextmanager
def reading_one_moment(engine: Engine) -> Iterator[Connection]:
    """Whatever is read inside is of one moment; writers go on meanwhile."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(**options)
        yield connection


def write_database(connection: Connection, folder: Path, *, report: Report) -> DatabaseCopy:
    """All tables into `folder`, each as <name>.jsonl.gz. Raises UnknownRevisionError."""
    revision, newest = current_revision(connection), newest_revision()
    if newest is None or revision != newest:
        raise UnknownRevisionError(
            f"tables are at {revision}, expected {newest}: overread migrate brings them there"
        )
    tables = Base.metadata.sorted_tables
    rows = {
        one.name: write_table(connection, one, table_file(folder, one.name), report=report)
        for one in tables
    }
    return DatabaseCopy(newest, rows, _last_ids(connection))


def read_database(
    connection: Connection, folder: Path, copy: DatabaseCopy, *, report: Report
) -> None:
    """Into tables at the copy's revision that hold nothing."""
    for name in copy.rows:
        read_table(connection, table_file(folder, name), name=name, report=report)


def set_last_ids(connection: Connection, copy: DatabaseCopy) -> None:
    """Of tables as they are today, see the table arguments `IDS_ONCE`."""
    for name, last in copy.last_ids.items():
        _set_last_id(connection, name, last)


def table_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.jsonl.gz"


def row_count(connection: Connection) -> int:
    """Of all tables; for a progress bar."""
    counts = [select(func.count()).select_from(one) for one in Base.metadata.sorted_tables]
    return sum(connection.scalar(count) or 0 for count in counts)


def is_empty(engine: Engine) -> bool:
    """Whether nobody has made a table yet."""
    return not inspect(engine).get_table_names()


def check_revision(revision: str) -> None:
    """Raises UnknownRevisionError for one that only a later release knows."""
    known = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    if revision not in {one.revision for one in known}:
        raise UnknownRevisionError(
            f"its tables are at {revision}, and this release knows them up to {newest_revision()}: "
            "restore it with the release that made it, or a later one"
        )


def _numbered(connection: Connection) -> list[Table]:
    """Tables that give out their ids themselves."""
    columns = [(one, one.autoincrement_column) for one in Base.metadata.sorted_tables]
    return [one for one, key in columns if key is not None and isinstance(key.type, Integer)]


def _last_ids(connection: Connection) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in _numbered(connection):
        highest = connection.scalar(select(func.max(one.c.id))) or 0
        found[one.name] = max(highest, _last_given_out(connection, one.name))
    return found


def _last_given_out(connection: Connection, name: str) -> int:
    if connection.dialect.name == "postgresql":
        sequence = connection.scalar(text(_SEQUENCE), {"table": f'"{name}"'})
        last = connection.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()  # noqa: S608  a name that the database gave
        return int(last.last_value) if last.is_called else 0
    return connection.scalar(select(_counted.c.seq).where(_counted.c.name == name)) or 0


def _set_last_id(connection: Connection, name: str, last: int) -> None:
    if connection.dialect.name == "postgresql":
        set_value = "SELECT setval(pg_get_serial_sequence(:table, 'id'), :last, :is_called)"
        values = {"table": f'"{name}"', "last": max(last, 1), "is_called": last > 0}
        connection.execute(text(set_value), values)
    elif Base.metadata.tables[name].dialect_options["sqlite"]["autoincrement"]:
        connection.execute(_counted.delete().where(_counted.c.name == name))
        connection.execute(_counted.insert().values(name=name, seq=last))


_SEQUENCE = "SELECT pg_get_serial_sequence(:table, 'id')"
_counted = table("sqlite_sequence", column("name", String), column("seq", Integer))


_OPTIONS = {"synchronize_session": False}


def hand_back_everything(session: Session) -> None:
    """Claims end as if they had never been; uploads that were under way begin again.

    A re-reading's claims only lapse: they say which images it has still to read.
    """
    held: dict[type[Image] | type[Night], ColumnElement[bool]] = {
        Image: Image.state.in_(WAITING_STATES),
        Night: Night.is_open.is_(True),
    }
    for held_table, may_be_held in held.items():
        session.execute(
            update(held_table)
            .where(held_table.leased_by.is_not(None), may_be_held)
            .values(leased_by=None, leased_until=None, attempts=held_table.attempts - 1)
            .execution_options(**_OPTIONS)
        )
    under_way = update(Upload).where(Upload.arrived_at.is_(None)).values(received=0)
    session.execute(under_way.execution_options(**_OPTIONS))


def end_logins(session: Session) -> None:
    """Browsers are to log in anew, and links that were not used yet open nothing.

    Since the copy was made somebody may have logged out for good, or used the link: neither is
    known here. API tokens stay, for programs could not help themselves.
    """
    session.execute(delete(Login).execution_options(**_OPTIONS))
    links = (Token.kind != "api", Token.used_at.is_(None), Token.revoked_at.is_(None))
    revoked = update(Token).where(*links).values(revoked_at=now())
    session.execute(revoked.execution_options(**_OPTIONS))
