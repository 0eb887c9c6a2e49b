"""Engine and sessions: `with sessions.begin() as session:` writes, `with sessions()` reads.

SQLite knows one writer at a time. A transaction that begins as a reader and then writes fails
at once when someone else wrote in between, whatever the busy timeout; so writers say so at BEGIN.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from models.config.settings import Settings

BUSY_TIMEOUT_MS = 30_000
# A server that was switched off says nothing at all; without these its clients wait for hours.
PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# Beside the five that are kept: one for each thread of the portal (cli/service/processes.py).
MORE_CONNECTIONS = 27
# The database does not answer, or not in time. It passes.
AWAY = (OperationalError, InterfaceError, TimeoutError)
WRITES = {"overread_writes": True}


class Sessions(sessionmaker[Session]):
    """`begin()` opens a writing transaction, a plain call a reading session."""

    @contextmanager
    def begin(self) -> Iterator[Session]:  # type: ignore[override]
        bind: Engine = self.kw["bind"]
        with self(bind=bind.execution_options(**WRITES)) as session, session.begin():
            yield session


def make_engine(settings: Settings) -> Engine:
    # Parameters may hold file names, which must not reach a log with an error's text.
    if not settings.is_sqlite:
        return create_engine(
            settings.database,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=PATIENCE,
            max_overflow=MORE_CONNECTIONS,
        )
    engine = create_engine(settings.database, hide_parameters=True, max_overflow=MORE_CONNECTIONS)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def make_session_factory(engine: Engine) -> Sessions:
    return Sessions(bind=engine, expire_on_commit=False)


def why_away(error: Exception) -> str:
    """One line without any parameter's value, which may be a file's name."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    first, *_ = str(cause).strip().splitlines() or [type(cause).__name__]
    return first


def _prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN comes too late and leaves DDL and SELECT outside; we send ours.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",  # what was answered for is on disk; 1 ms a commit, few commits
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    options: dict[str, Any] = dict(connection.get_execution_options())
    kind = "IMMEDIATE" if options.get("overread_writes") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")
