"""A fresh database with all tables for each test, on SQLite or PostgreSQL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import Engine, create_engine

from models import learning_tables  # noqa: F401  adds its tables to the metadata
from models.base import Base
from models.session import Sessions, make_engine, make_session_factory
from models.settings import Settings
from tests.postgres import PostgresServer

TEMPLATE = f"overread_template_{os.getpid()}"


@dataclass(frozen=True)
class Database:
    settings: Settings
    engine: Engine
    sessions: Sessions


class PostgresDatabases:
    """Makes empty and filled databases on a private server, or on the one that is given."""

    def __init__(self) -> None:
        external = os.environ.get("TEST_POSTGRES_URL")
        self._server = None if external else PostgresServer()
        self._url = external or (self._server.url("postgres") if self._server else "")
        self._made: list[str] = []
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
        return self.make(template=TEMPLATE)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            return
        for name in reversed(self._made):
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def open_database(settings: Settings, *, make_tables: bool) -> Iterator[Database]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = make_engine(settings)
    if make_tables:
        Base.metadata.create_all(engine)
    try:
        yield Database(settings, engine, make_session_factory(engine))
    finally:
        engine.dispose()
