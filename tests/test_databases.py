"""Tests that share a PostgreSQL database do not see each other's changes."""

from sqlalchemy import create_engine, inspect, text

from models.base import Base
from tests.support.servers.databases import PostgresDatabases


def change(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_get_filled_replaces_database_with_changed_tables(postgres: PostgresDatabases) -> None:
    for statement in (
        "DROP TABLE label CASCADE",
        "CREATE TABLE alembic_version (version_num text)",
        'ALTER TABLE "user" RENAME COLUMN name TO word',
    ):
        change(url := postgres.get_filled(), statement)
        assert postgres.get_filled() != url
    engine = create_engine(postgres.get_filled())
    assert set(inspect(engine).get_table_names()) == set(Base.metadata.tables)
    engine.dispose()
