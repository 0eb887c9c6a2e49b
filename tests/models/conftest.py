"""Fixtures of several tables' tests."""

import pytest

from models.files.store import FileStore
from tests.support.data.sites import Site
from tests.support.servers.databases import Database


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database, FileStore(database.settings.files_dir))
