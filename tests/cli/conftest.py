"""Fixtures of several commands' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command

from models.config.settings import Settings
from models.context import AppContext, open_context
from models.operations.upgrade import alembic_config, upgrade
from tests.support.servers.databases import Database
from tests.support.servers.keeper import Keeper


@pytest.fixture
def context(database: Database) -> Iterator[AppContext]:
    """Of an installation that has been upgraded."""
    with database.engine.begin() as connection:
        command.stamp(alembic_config(connection), "head")  # so that upgrading costs nothing
    upgrade(database.settings)
    opened = open_context(database.settings)
    yield opened
    opened.close()


@pytest.fixture
def keeper(context: AppContext, tmp_path: Path) -> Keeper:
    return Keeper(context, tmp_path / "kept")


@pytest.fixture
def restored(tmp_path: Path) -> Settings:
    """Where a backup is restored to: a folder that does not exist yet."""
    return Settings(data=tmp_path / "restored")
