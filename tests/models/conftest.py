"""Fixtures of the tests of several tables."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from models.context import AppContext, open_context
from models.files.store import FileStore
from tests.support.data.sites import Site
from tests.support.servers.databases import Database


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database, FileStore(database.settings.files_dir))


@pytest.fixture
def context(database: Database) -> Iterator[AppContext]:
    opened = open_context(database.settings)
    yield opened
    opened.close()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """One writing transaction, for tests that need no other."""
    with database.sessions.begin() as opened:
        yield opened
