"""SQLite's file keeps its journal mode, so that no connection needs to set it."""

import sqlite3

from sqlalchemy import text

from models.config.settings import Settings
from models.operations.upgrade import migrate, upgrade
from models.session import make_sessions, open_database


def journal_mode(settings: Settings) -> str:
    with sqlite3.connect(settings.data_dir / "overread.sqlite3") as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


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
