"""Fixtures of several commands' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command

from models.operations.upgrade import alembic_config, upgrade
from tests.support.servers.databases import Database
from tests.support.servers.keeper import Keeper
from worker.context import Doors, open_doors


@pytest.fixture
def doors(database: Database) -> Iterator[Doors]:
    """Of an installation that has been upgraded."""
    with database.engine.begin() as connection:
        command.stamp(alembic_config(connection), "head")  # so that upgrading costs nothing
    upgrade(database.settings)
    opened = open_doors(database.settings)
    yield opened
    opened.close()


@pytest.fixture
def keeper(doors: Doors, tmp_path: Path) -> Keeper:
    return Keeper(doors, tmp_path / "kept")
