"""A whole database as files, and back: from SQLite to PostgreSQL and the other way, too."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    String,
    Table,
    column,
    func,
    inspect,
    select,
    table,
    text,
)

from models import learning_tables  # noqa: F401  adds its tables to the metadata
from models.base import Base
from models.revision import current_revision, newest_revision
from models.table_lines import Report, read_table, write_table
from models.upgrade import alembic_config


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
