"""A fresh database with all tables for each test, on SQLite or PostgreSQL."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import Engine, create_engine, delete, text
from sqlalchemy.orm import Session

from models.base import Base
from models.config.secrets import SECRETS_FILE, new_secrets
from models.config.settings import Settings
from models.operations.upgrade import alembic_config, migrating
from models.session import Sessions
from models.session import open_database as open_sessions
from models.tables import learning as learning_tables  # noqa: F401  adds its tables to the metadata
from models.tables import workers as workers_tables  # noqa: F401
from models.tables.counting import COUNTED, make_triggers
from models.tables.worklist import KeptCount
from tests.support.servers.postgres import PostgresServer

# For what differs between databases: dialect, locks, migrations.
both_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

TEMPLATE = "overread_template"
DISCONNECT_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
COLUMNS = """SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = current_schema()"""
RESET_SEQUENCES = """SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false)
    FROM pg_sequences WHERE last_value IS NOT NULL"""


@dataclass(frozen=True)
class Database:
    settings: Settings
    engine: Engine
    sessions: Sessions


class PostgresDatabases:
    """Creates databases on a private server."""

    def __init__(self) -> None:
        self._server = PostgresServer()
        self._kept = ""
        tables = create_engine(self.make(name=TEMPLATE))
        _create_all(tables)
        tables.dispose()

    def make(self, *, name: str | None = None, template: str = "template1") -> str:
        name = name or f"overread_{uuid4().hex}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self._server.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return self._server.url(name).replace("postgresql://", "postgresql+psycopg://", 1)

    def make_filled(self) -> str:
        """Return the URL of a new database with all tables and no rows."""
        return self.make(template=TEMPLATE)

    def get_filled(self) -> str:
        """Return the same database for each test, emptied: ten times as fast as creating one.

        A test that changed the tables leaves it behind; the next one has another.
        """
        if not self._kept or not _empty(self._kept):
            self._kept = self.make_filled()
        return self._kept

    def stop(self) -> None:
        self._server.stop()


def _empty(url: str) -> bool:
    """Disconnect other clients and delete all rows. False if the tables were changed."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text(DISCONNECT_OTHERS))
            if {tuple(row) for row in connection.execute(text(COLUMNS))} != _our_columns():
                return False
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(table.delete())
            connection.execute(delete(KeptCount))  # triggers have added some
            connection.execute(text(RESET_SEQUENCES))
    finally:
        engine.dispose()
    return True


def _our_columns() -> set[tuple[str, str]]:
    tables = Base.metadata.sorted_tables
    return {(table.name, column.name) for table in tables for column in table.columns}


def _make_tables(engine: Engine) -> None:
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).write_bytes(_sqlite_with_tables())
    else:
        _create_all(engine)


def _create_all(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        for counted in COUNTED:
            make_triggers(connection, counted)


@cache
def _sqlite_with_tables() -> bytes:
    """Return a database file without rows: ten times as fast to write as creating tables."""
    engine = create_engine("sqlite://")
    _create_all(engine)
    with engine.connect() as connection:
        content = bytearray(connection.connection.driver_connection.serialize())
    content[18:20] = b"\2\2"  # the file format's versions for WAL, which memory does not have
    return bytes(content)


def make_secrets(data_dir: Path) -> None:
    """Of a service whose database has no row yet. Unlike the program, without forcing to disk."""
    path = data_dir / SECRETS_FILE
    if not path.exists():
        path.write_text(json.dumps(asdict(new_secrets())))


@contextmanager
def open_database(settings: Settings, *, make_tables: bool = False) -> Iterator[Database]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with open_sessions(settings) as sessions:
        if make_tables:
            _make_tables(sessions.engine)
            make_secrets(settings.data_dir)
        yield Database(settings, sessions.engine, sessions)


@contextmanager
def open_session(settings: Settings) -> Iterator[Session]:
    """Commits at the end."""
    with open_database(settings) as database, database.sessions.begin() as session:
        yield session


def downgrade(engine: Engine, revision: str = "base") -> None:
    """What only the newer tables can hold is lost."""
    with migrating(engine) as connection:
        command.downgrade(alembic_config(connection), revision)
