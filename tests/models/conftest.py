"""Fixtures of several tables' tests."""

import pytest

from models.file_store import FileStore
from tests.databases import Database
from tests.sites import Site


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database, FileStore(database.settings.files_dir))
