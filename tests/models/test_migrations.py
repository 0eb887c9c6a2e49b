"""Migrations make exactly the tables that the program expects, and take them away again."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from models.tables import Base
from models.upgrade import migrate, unmigrate
from tests.databases import Database


def test_migrated_tables_are_the_programs_tables(empty_database: Database) -> None:
    migrate(empty_database.engine)
    with empty_database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_twice_changes_nothing(empty_database: Database) -> None:
    migrate(empty_database.engine)
    migrate(empty_database.engine)
    assert inspect(empty_database.engine).has_table("image")


def test_down_and_up_again(empty_database: Database) -> None:
    migrate(empty_database.engine)
    unmigrate(empty_database.engine)
    assert set(inspect(empty_database.engine).get_table_names()) == {"alembic_version"}
    migrate(empty_database.engine)
    assert inspect(empty_database.engine).has_table("image")
