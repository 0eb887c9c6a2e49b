"""Engine and sessions: `with sessions.begin() as session:` writes, `with sessions()` reads.

SQLite has one writer at a time. A transaction that begins as a reader and then writes fails at once
when another has written in between, whatever the busy timeout; so writers begin as writers.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    TimeoutError,
)
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from models.config.settings import Settings

BUSY_TIMEOUT_MS = 30_000  # for another writer; of PostgreSQL, for any lock
# Without these, clients of a server that was switched off wait for hours.
POSTGRES_TIMEOUTS = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# Beside the pool's five: one for each thread of the portal (cli/service/processes.py), and two for
# its health checks. So nothing waits for a connection but a fault of ours.
POOL = {"max_overflow": 29, "pool_timeout": 5}
# The database does not answer, or not in time, is a standby, or lacks rights: a passing failure.
AWAY = (OperationalError, InterfaceError, TimeoutError)
# SQLSTATEs of PostgreSQL. The driver's classes for them also hold errors that do not pass: damaged
# data, and faults of ours.
NO_RIGHTS = "42501"
_PASSING = {
    NO_RIGHTS,
    "25006",  # read_only_sql_transaction
    "25P03",  # idle_in_transaction_session_timeout
    "25P04",  # transaction_timeout
}
WRITES = {"overread_writes": True}


class Sessions(sessionmaker[Session]):
    """`begin()` opens a writing transaction, a plain call a reading session."""

    @property
    def engine(self) -> Engine:
        engine: Engine = self.kw["bind"]
        return engine

    @contextmanager
    def begin(self) -> Iterator[Session]:  # type: ignore[override]
        with self(bind=self.engine.execution_options(**WRITES)) as session, session.begin():
            yield session


@contextmanager
def open_database(settings: Settings) -> Iterator[Sessions]:
    """Sessions whose connections are closed at the end."""
    sessions = make_sessions(settings)
    try:
        yield sessions
    finally:
        sessions.engine.dispose()


def make_sessions(settings: Settings) -> Sessions:
    return Sessions(bind=_make_engine(settings), expire_on_commit=False)


def database_url(settings: Settings) -> URL:
    """The data folder's path is not pasted into a URL: it may hold `?`, `#` or `%`."""
    if settings.database_url:
        return make_url(settings.database_url)
    return URL.create("sqlite", database=str(settings.data_dir / "overread.sqlite3"))


def sqlite_file(settings: Settings) -> Path | None:
    """None for PostgreSQL. To look whether it exists: connecting would make it."""
    if not settings.is_sqlite:
        return None
    return Path(database_url(settings).database or "").absolute()


def _make_engine(settings: Settings) -> Engine:
    # Parameters may hold file names, which must not reach a log with an error's text.
    if not settings.is_sqlite:
        engine = create_engine(
            database_url(settings),
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=POSTGRES_TIMEOUTS,
            **POOL,
        )
        event.listen(engine, "connect", _prepare_postgres)
        event.listen(engine, "handle_error", _as_operational)
        return engine
    engine = create_engine(database_url(settings), hide_parameters=True, **POOL)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _discard_read_only)
    return engine


def lacks_rights(error: Exception) -> bool:
    """The user of the database may not do what was asked."""
    return isinstance(error, DBAPIError) and _sqlstate(error.orig) == NO_RIGHTS


def why_away(error: Exception) -> str:
    """One line without the values of parameters, which may be file names."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    first, *_ = str(cause).strip().splitlines() or [type(cause).__name__]
    return first


def _prepare_postgres(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.execute(f"SET lock_timeout = {BUSY_TIMEOUT_MS}")
    connection.commit()


def _as_operational(context: ExceptionContext) -> OperationalError | None:
    cause = context.original_exception
    if _sqlstate(cause) not in _PASSING:
        return None
    return OperationalError(context.statement, None, cause, hide_parameters=True)


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(error, "sqlstate", None)


def _prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN is sent late and leaves DDL and SELECT outside; we send ours.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "synchronous = FULL",  # a confirmed upload is on disk; costs 1 ms a commit
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def keep_wal(connection: Connection) -> None:
    """Readers work beside a writer. SQLite's file keeps the mode: it is set where tables are made;
    a connection that sets it fails at once beside a writer.
    """
    _beside_transactions(connection, "journal_mode = WAL")


def switch_foreign_keys(connection: Connection, position: Literal["ON", "OFF"]) -> None:
    _beside_transactions(connection, f"foreign_keys = {position}")


def _beside_transactions(connection: Connection, pragma: str) -> None:
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    options: dict[str, Any] = dict(connection.get_execution_options())
    kind = "IMMEDIATE" if options.get("overread_writes") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")


def _discard_read_only(context: ExceptionContext) -> None:
    """SQLite opens a file that cannot be written for reading, and the pool would keep that."""
    code = getattr(context.original_exception, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_READONLY:  # or one of its extended codes
        context.is_disconnect = True
