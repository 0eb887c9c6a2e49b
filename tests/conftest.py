"""Fixtures for every room. Servers are real, private to the test run, and started once."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from playwright.sync_api import Browser, Playwright, expect

from models.config.settings import PREFIX, Settings
from tests.support.servers.broker import EmbeddedBroker
from tests.support.servers.browser import ARGUMENTS, find_browser
from tests.support.servers.databases import Database, PostgresDatabases, make_secrets, open_database
from tests.support.servers.ports import lasting_port

if TYPE_CHECKING:
    from tests.support.servers.portal_server import ServedPortal

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
# Read once when TensorFlow is imported; processes started by tests set it, too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Hypothesis would also use constants of imported modules, which depend on the tests that this
# process has run before.
providers._get_local_constants = Constants


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start PostgreSQL, so that `make test-fast` can leave them out."""
    for item in items:
        if isinstance(item, pytest.Function) and (
            "postgres" in item.fixturenames or "postgresql" in item.name
        ):
            item.add_marker("postgresql")


@pytest.fixture(scope="session", autouse=True)
def _plain_environment() -> None:
    """Remove the developer's own OVERREAD_ settings."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("no shared data beside the checkout")
    return SHARED_DATA


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite in its own folder; no broker."""
    return Settings(data=tmp_path / "data")


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Replaces the plug-in's fixture, which needs playwright's own browser."""
    expect.set_options(timeout=30_000)  # a busy machine needs more than the default of 5 s
    opened = playwright.chromium.launch(
        executable_path=find_browser(), args=ARGUMENTS, timeout=300_000
    )
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def _served_portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator["ServedPortal"]:
    from tests.support.servers.portal_server import (
        serve_portal,  # slow import, which most tests do not need
    )

    with serve_portal(Settings(data=tmp_path_factory.mktemp("served") / "data")) as running:
        yield running


@pytest.fixture
def service(_served_portal: "ServedPortal") -> Iterator["ServedPortal"]:
    """A portal on a port, behind an interceptor that does nothing yet."""
    _served_portal.interceptor.requests.clear()
    yield _served_portal
    _served_portal.interceptor.handler = lambda _: None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresDatabases]:
    server = PostgresDatabases()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Database]:
    """A database without tables."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").make()
        settings = settings.model_copy(update={"database_url": url})
    with open_database(settings) as opened:
        yield opened


@pytest.fixture
def database(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Database]:
    """All tables, no rows: SQLite, and PostgreSQL too for tests marked `both_databases`."""
    if getattr(request, "param", "sqlite") == "sqlite":
        with open_database(settings, make_tables=True) as opened:
            yield opened
        return
    url = request.getfixturevalue("postgres").get_filled()
    settings = settings.model_copy(update={"database_url": url})
    with open_database(settings) as opened:
        make_secrets(settings.data_dir)
        yield opened


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """For tests that `kill()` and `start()` it."""
    folder, port = tmp_path / "broker", lasting_port()
    with EmbeddedBroker(folder, password="invented", port=port) as running:
        yield running


@pytest.fixture(scope="session")
def _shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path_factory.mktemp("broker"), password="invented") as running:
        yield running


@pytest.fixture
def broker_url(_shared_broker: EmbeddedBroker) -> str:
    """A broker with empty queues."""
    with redis.Redis.from_url(_shared_broker.url) as client:
        client.delete("ingest", "predict", "train", "unacked", "unacked_index")
    return _shared_broker.url
