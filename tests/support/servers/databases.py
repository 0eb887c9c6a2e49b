"""A fresh database with all tables for each test, on SQLite or PostgreSQL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import Engine, create_engine, text

from models.base import Base
from models.config.settings import Settings
from models.operations.upgrade import alembic_config, migrating
from models.session import Sessions
from models.session import open_database as open_sessions
from models.tables import learning as learning_tables  # noqa: F401  adds its tables to the metadata
from tests.support.servers.postgres import PostgresServer

# For what differs between databases: dialect, locks, migrations.
both_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

TEMPLATE = f"overread_template_{os.getpid()}"
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
    """Creates databases on a private server, or on the one in TEST_POSTGRES_URL."""

    def __init__(self) -> None:
        external = os.environ.get("TEST_POSTGRES_URL")
        self._server = None if external else PostgresServer()
        self._url = external or (self._server.url("postgres") if self._server else "")
        self._made: list[str] = []
        self._kept = ""
        tables = create_engine(self.make(name=TEMPLATE))
        Base.metadata.create_all(tables)
        tables.dispose()

    def make(self, *, name: str | None = None, template: str = "template1") -> str:
        name = name or f"overread_{uuid4().hex}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        self._made.append(name)
        head, _ = self._url.rsplit("/", 1)
        return f"{head}/{name}".replace("postgresql://", "postgresql+psycopg://", 1)

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
        if self._server is not None:
            self._server.stop()
            return
        for name in reversed(self._made):
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


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
        Base.metadata.create_all(engine)


@cache
def _sqlite_with_tables() -> bytes:
    """Return a database file without rows: ten times as fast to write as creating tables."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        return bytes(connection.connection.driver_connection.serialize())


@contextmanager
def open_database(settings: Settings, *, make_tables: bool) -> Iterator[Database]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with open_sessions(settings) as sessions:
        if make_tables:
            _make_tables(sessions.engine)
        yield Database(settings, sessions.engine, sessions)


def downgrade(engine: Engine, revision: str = "base") -> None:
    """What only the newer tables can hold is lost."""
    with migrating(engine) as connection:
        command.downgrade(alembic_config(connection), revision)
