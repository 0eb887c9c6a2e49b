"""What worker tests share: context into a database and a folder of their own, one decoder pool."""

from collections.abc import Iterator

import pytest

from models.context import AppContext, open_context
from pipeline.prepare.pool import DecoderPool
from tests.support.servers.databases import Database
from worker import enqueue

KEY = b"an invented key"
TIMEOUT_S = 120.0  # for one file: no test waits so long, however slow the machine


@pytest.fixture
def context(database: Database) -> Iterator[AppContext]:
    enqueue.connect(database.settings)  # no broker: nudges are logged and lost, as they may be
    opened = open_context(database.settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(processes=2, timeout_s=TIMEOUT_S, key=KEY) as running:
        yield running
