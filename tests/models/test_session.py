"""Failures of PostgreSQL that pass; SQLite's journal mode; no connection that cannot write."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from models.config.settings import Settings
from models.operations.heartbeat import record_heartbeat
from models.operations.upgrade import migrate, upgrade
from models.session import AWAY, make_sessions, open_database, sqlite_file
from tests.support.servers.databases import Database


def journal_mode(settings: Settings) -> str:
    with sqlite3.connect(settings.data_dir / "overread.sqlite3") as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


ODD_NAMES = ("ward?1", "a#b", "%41", "a b", "a\nb", 'a "b"', "a'b", "a\\b", "ü", ":", "?mode=ro")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_database_is_in_its_data_folder_whatever_the_name(tmp_path: Path, name: str) -> None:
    settings = Settings(data=tmp_path / name)
    settings.data_dir.mkdir()
    with open_database(settings) as database:
        migrate(database.engine)
    assert sqlite_file(settings) == settings.data_dir / "overread.sqlite3"
    assert (settings.data_dir / "overread.sqlite3").stat().st_size > 0
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_upgrade_keeps_wal_in_the_file(settings: Settings) -> None:
    upgrade(settings)
    assert journal_mode(settings) == "wal"


def test_connection_opens_beside_a_writer_of_a_database_without_wal(settings: Settings) -> None:
    settings.data_dir.mkdir()
    with open_database(settings) as writer:
        migrate(writer.engine)
        with writer.engine.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA journal_mode = DELETE")  # type: ignore[union-attr]
        with writer.begin() as session:
            session.execute(text("DELETE FROM user"))
            other = make_sessions(settings)
            other.engine.connect().close()
            other.engine.dispose()


def test_connection_that_cannot_write_is_not_kept(database: Database) -> None:
    """As one that was opened while the file could not be written."""
    with database.sessions() as session:
        session.execute(text("PRAGMA query_only = ON"))
    with pytest.raises(OperationalError, match="readonly"), database.sessions.begin() as session:
        record_heartbeat(session, "portal")
    with database.sessions.begin() as session:
        record_heartbeat(session, "portal")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("code", "passes"),
    [
        ("25006", True),  # read_only_sql_transaction
        ("42501", True),  # insufficient_privilege
        ("57P03", True),  # cannot_connect_now
        ("XX001", False),  # data_corrupted
        ("XX002", False),  # index_corrupted
        ("42P01", False),  # undefined_table
    ],
)
def test_damage_is_no_passing_failure_of_postgresql(
    database: Database, code: str, passes: bool
) -> None:
    failing = text(f"DO $$ BEGIN RAISE EXCEPTION 'a name' USING ERRCODE = '{code}'; END $$")
    with pytest.raises(DBAPIError) as raised, database.sessions() as session:
        session.execute(failing)
    assert isinstance(raised.value, AWAY) == passes
