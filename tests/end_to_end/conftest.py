"""One service for the tests of a module, and its clients."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy.orm import Session

from models.config.settings import Settings
from tests.support.servers.databases import Database, open_database, open_session
from tests.support.servers.service import WITHIN_S, Service
from tests.support.web.portal import proof


@pytest.fixture(scope="module")
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """With the module's SETTINGS, if it has any."""
    running = Service(tmp_path_factory.mktemp("service"), getattr(request.module, "SETTINGS", {}))
    running.start()
    yield running
    running.end()


@contextmanager
def database_of(service: Service) -> Iterator[Database]:
    with open_database(Settings(data=service.data_dir)) as opened:
        yield opened


@contextmanager
def rows_of(service: Service) -> Iterator[Session]:
    with open_session(Settings(data=service.data_dir)) as session:
        yield session


def login_link(service: Service) -> str:
    return next(word for word in service.run("login-link").stdout.split() if "/login/link#" in word)


def follow_link(browser: httpx.Client, link: str) -> httpx.Response:
    """What the page of the link posts."""
    page, token = link.split("#")
    return browser.post(page, data={"csrf_token": proof(browser, page), "token": token})


@pytest.fixture(scope="module")
def person(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, follow_redirects=True, timeout=WITHIN_S) as browser:
        assert follow_link(browser, login_link(service)).is_success
        yield browser


@pytest.fixture(scope="module")
def program(service: Service) -> Iterator[httpx.Client]:
    bearer = {"Authorization": f"Bearer {service.token}"}
    with httpx.Client(base_url=service.url, headers=bearer, timeout=WITHIN_S) as client:
        yield client
