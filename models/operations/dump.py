"""A whole database as files, and back, also from SQLite to PostgreSQL and the other way.

Rows are lines of JSON, the same from either database: gzipped, one file a table. The first line
names the columns and their kinds, so that a later release can read an earlier one's.

SQLite's own backup and PostgreSQL's pg_dump would be faster, but need two formats, of which
neither moves between the databases, and a program of the server's own version.
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
    Connection,
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
)
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType, TypeEngine

from models.base import Base, UtcDateTime, now, stored_tables
from models.lease import release_rows
from models.operations.backup_folder import BackupDamagedError, BackupRefusedError
from models.operations.revision import current_revision, newest_revision
from models.operations.upgrade import alembic_config
from models.query import update_rows
from models.tables import learning as learning_tables  # noqa: F401  adds its tables to the metadata
from models.tables import terms as terms_tables  # noqa: F401  adds its table to the metadata
from models.tables.intake import WAITING_STATES, Image, Upload
from models.tables.learning import Night
from models.tables.people import Login, Token
from models.tables.workers import Worker

ROWS_AT_ONCE = 1000
Report = Callable[[int], None]  # receives the number of further rows

_KINDS: dict[str, TypeEngine[Any]] = {
    "time": UtcDateTime(),
    "bytes": LargeBinary(),
    "json": JSON(none_as_null=True),
    "bool": Boolean(),
    "plain": NullType(),  # of all other columns
}
_TO_JSON: dict[str, Callable[[Any], Any]] = {
    "time": datetime.isoformat,
    "bytes": lambda content: base64.b64encode(content).decode(),
}
_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "time": datetime.fromisoformat,
    "bytes": base64.b64decode,
}
# What json, gzip and SQLAlchemy's types raise at anything else.
_NOT_A_DUMP = (
    *(ValueError, LookupError, TypeError, AttributeError),
    *(EOFError, gzip.BadGzipFile, zlib.error, StatementError),
)


@dataclass(frozen=True)
class DatabaseDump:
    """rows: by table, those first that others refer to.

    last_ids: the highest that was ever given out, so that no id comes to mean something else.
    """

    revision: str
    rows: Mapping[str, int]
    last_ids: Mapping[str, int]


@contextmanager
def snapshot_of(engine: Engine) -> Iterator[Connection]:
    """A connection that reads the database as of one moment, while others write."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(**options)
        yield connection


def write_database(connection: Connection, folder: Path, *, report: Report) -> DatabaseDump:
    """All tables into `folder`, each as <name>.jsonl.gz. Raises BackupRefusedError."""
    revision, newest = current_revision(connection), newest_revision()
    if revision != newest:
        raise BackupRefusedError(
            f"the tables are at {revision}, expected {newest}: run overread migrate first"
        )
    tables = stored_tables()
    rows = {
        one.name: write_table(connection, one, table_file(folder, one.name), report=report)
        for one in tables
    }
    return DatabaseDump(newest, rows, _last_ids(connection))


def write_table(connection: Connection, source: Table, path: Path, *, report: Report) -> int:
    """Returns the number of rows. The caller's transaction decides of which moment they are."""
    kinds = {one.name: _kind(one.type) for one in source.columns}
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


def read_database(
    connection: Connection, folder: Path, rows: Mapping[str, int], *, report: Report
) -> None:
    """Into empty tables at the dump's revision. Raises BackupDamagedError."""
    for name, expected in rows.items():
        path = table_file(folder, name)
        count = read_table(connection, path, name=name, report=report)
        if count != expected:
            raise BackupDamagedError(f"{path}: {count} rows, expected {expected}")


def read_table(connection: Connection, path: Path, *, name: str, report: Report) -> int:
    """Adds the rows to the table of this name; returns their number.

    Raises BackupDamagedError.
    """
    count = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            header = json.loads(next(lines, ""))
            if header["table"] != name:
                raise ValueError
            kinds = dict(header["columns"])
            target = _plain_table(name, kinds)
            convert = [_FROM_JSON.get(kind) for kind in kinds.values()]
            values = (_converted(json.loads(line), convert) for line in lines)
            rows = (dict(zip(kinds, row, strict=True)) for row in values)
            while some := list(islice(rows, ROWS_AT_ONCE)):
                connection.execute(target.insert(), some)
                count += len(some)
                report(len(some))
    except DBAPIError:
        raise
    except _NOT_A_DUMP as error:
        kind = type(error).__name__  # its text may hold a file's name
        raise BackupDamagedError(
            f"{path}: not the rows of {name} after row {count} ({kind})"
        ) from None
    return count


def set_last_ids(connection: Connection, last_ids: Mapping[str, int]) -> None:
    """Continue to number rows where the dumped database was, see the table arguments `IDS_ONCE`."""
    for name, last in last_ids.items():
        if connection.dialect.name == "postgresql":
            set_value = text(
                "SELECT setval(pg_get_serial_sequence(:table, 'id'), :last, :is_called)"
            )
            values = {"table": f'"{name}"', "last": max(last, 1), "is_called": last > 0}
            connection.execute(set_value, values)
        elif Base.metadata.tables[name].dialect_options["sqlite"]["autoincrement"]:
            connection.execute(_sequences.delete().where(_sequences.c.name == name))
            connection.execute(_sequences.insert().values(name=name, seq=last))


def table_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.jsonl.gz"


def row_count(connection: Connection) -> int:
    """Of all tables; for a progress bar."""
    counts = [select(func.count()).select_from(one) for one in stored_tables()]
    return sum(connection.scalar(count) or 0 for count in counts)


def is_empty(engine: Engine) -> bool:
    """Whether the database has no tables yet."""
    return not inspect(engine).get_table_names()


def check_revision(revision: str) -> None:
    """Raises BackupRefusedError for one that only a later release knows."""
    known = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    if revision not in {one.revision for one in known}:
        raise BackupRefusedError(
            f"its tables are at {revision}, and this release knows them up to {newest_revision()}: "
            "restore it with the release that made it, or a later one"
        )


def _converted(row: Sequence[Any], convert: Sequence[Callable[[Any], Any] | None]) -> list[Any]:
    return [
        change(value) if change is not None and value is not None else value
        for value, change in zip(row, convert, strict=True)
    ]


def _plain_table(name: str, kinds: Mapping[str, str]) -> TableClause:
    return table(name, *(column(one, _KINDS[kind]) for one, kind in kinds.items()))


def _kind(column_type: TypeEngine[Any]) -> str:
    kinds = (kind for kind, known in _KINDS.items() if isinstance(column_type, type(known)))
    return next(kinds, "plain")


def _last_ids(connection: Connection) -> dict[str, int]:
    """Of the tables that give out their ids themselves."""
    found: dict[str, int] = {}
    for one in stored_tables():
        key = one.autoincrement_column
        if key is not None and isinstance(key.type, Integer):
            highest = connection.scalar(select(func.max(key))) or 0
            found[one.name] = max(highest, _last_given_out(connection, one.name))
    return found


def _last_given_out(connection: Connection, name: str) -> int:
    if connection.dialect.name == "postgresql":
        of_table = text("SELECT pg_get_serial_sequence(:table, 'id')")
        sequence = connection.scalar(of_table, {"table": f'"{name}"'})
        last = connection.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()  # noqa: S608  a name that the database gave
        return int(last.last_value) if last.is_called else 0
    return connection.scalar(select(_sequences.c.seq).where(_sequences.c.name == name)) or 0


_sequences = table("sqlite_sequence", column("name", String), column("seq", Integer))


def end_work_in_progress(session: Session) -> None:
    """Release claims without counting their attempts, and forget workers; uploads under way start
    again.

    A re-reading's claims only lapse: they say which images it has still to read.
    """
    images = (Image.leased_by.is_not(None), Image.state.in_(WAITING_STATES))
    release_rows(session, Image, *images, count_attempt=False)
    nights = (Night.leased_by.is_not(None), Night.is_open.is_(True))
    release_rows(session, Night, *nights, count_attempt=False)
    update_rows(session, Upload, Upload.arrived_at.is_(None), received=0)
    session.execute(delete(Worker))


def end_logins(session: Session) -> None:
    """End all logins, and revoke one-time links that were not used.

    Since the dump was made, somebody may have logged out for good or used the link; neither is
    known here. API tokens stay, since programs cannot sign in again.
    """
    session.execute(delete(Login))
    links = (Token.kind != "api", Token.used_at.is_(None), Token.revoked_at.is_(None))
    update_rows(session, Token, *links, revoked_at=now())
