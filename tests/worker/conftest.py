"""Fixtures of worker tests: a context and a job of their own, one decoder pool."""

from collections.abc import Callable, Iterator

import pytest

from models.context import AppContext, open_context
from models.learning.promotion import install_baseline, production_version
from models.tables.intake import Image, Job, ModelVersion
from pipeline.prepare.pool import DecoderPool
from tests.support.data.rows import a_job, images_in
from tests.support.data.uploads import upload
from tests.support.servers.databases import Database
from worker import enqueue
from worker.ingest.chunk import ingest_chunk

KEY = b"an invented key"
Ingest = Callable[[dict[str, bytes]], list[Image]]
TIMEOUT_S = 120.0  # for one file: no test waits so long, however slow the machine


@pytest.fixture
def context(database: Database) -> Iterator[AppContext]:
    enqueue.connect(database.settings)  # no broker: nudges are logged and lost, as they may be
    opened = open_context(database.settings)
    yield opened
    opened.stopping.set()  # ends the threads that a test has started
    opened.close()


@pytest.fixture(scope="session")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(processes=2, timeout_s=TIMEOUT_S, key=KEY) as running:
        yield running


@pytest.fixture
def production(context: AppContext) -> ModelVersion:
    """The shipped network's version."""
    with context.sessions.begin() as session:
        install_baseline(session, data_dir=context.settings.data_dir)
        version = production_version(session)
    assert version is not None
    return version


@pytest.fixture
def job(context: AppContext) -> Job:
    with context.sessions.begin() as session:
        return a_job(session)


@pytest.fixture
def other(context: AppContext) -> Job:
    with context.sessions.begin() as session:
        return a_job(session)


@pytest.fixture
def ingest(context: AppContext, pool: DecoderPool, job: Job) -> Ingest:
    """Uploads files to the job; reads what waits, and returns all images."""

    def run(files: dict[str, bytes]) -> list[Image]:
        upload(context, job, files)
        return ingest_all(context, pool)

    return run


def ingest_all(context: AppContext, pool: DecoderPool) -> list[Image]:
    while ingest_chunk(context, pool):
        pass
    return images_in(context)
