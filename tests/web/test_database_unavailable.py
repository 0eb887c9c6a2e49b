"""PostgreSQL stops and starts again while the portal runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.config.settings import Settings
from tests.support.servers.databases import open_database
from tests.support.servers.postgres import PostgresServer
from tests.support.web.portal import Portal
from web.app import create_app
from web.context import KEY


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    running = PostgresServer(keeping=True)
    yield running
    running.stop()


def test_portal_returns_503_until_the_database_is_back(
    server: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url("postgres").replace("postgresql://", "postgresql+psycopg://", 1)
    settings = Settings(data=tmp_path / "data", database_url=url)
    with open_database(settings, make_tables=True) as database:
        app = create_app(settings)
        portal = Portal(database, app, app.extensions[KEY])
        program, browser = portal.program(), portal.browser()
        server.halt(immediate=True)

        answer, page = program.get("/api/v1/jobs"), browser.get("/")
        assert (answer.status_code, page.status_code) == (503, 503)
        assert answer.content_type == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
        assert "The database does not respond; try again in a moment." in page.text
        assert app.test_client().get("/healthz").status_code == 200
        assert not any(record.exc_info for record in caplog.records)

        server.start()
        assert program.get("/api/v1/jobs").status_code == 200
        assert browser.get("/").status_code == 200
        portal.context.sessions.engine.dispose()
