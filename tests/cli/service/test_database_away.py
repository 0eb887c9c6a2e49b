"""Commands and a starting service without a reachable database."""

from pathlib import Path

from cli.service.start import Upgrade
from models.config.settings import Settings
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.service import overread


def test_command_reports_an_unreachable_database_in_one_line(tmp_path: Path) -> None:
    url = "postgresql+psycopg://nobody:secret@127.0.0.1:1/none"
    done = overread(tmp_path / "data", "migrate", database_url=url)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the database does not answer: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_upgrade_waits_for_the_database_server(tmp_path: Path) -> None:
    server, logged = PostgresServer(), list[str]()
    url = server.url("postgres").replace("postgresql://", "postgresql+psycopg://", 1)
    upgrade = Upgrade(Settings(data=tmp_path / "data", database_url=url), logged.append)
    try:
        server.halt()
        assert [upgrade(), upgrade()] == [False, False]
        server.start()
        assert upgrade()
    finally:
        server.stop()
    assert len(logged) == 1
    assert logged[0].startswith("waiting for the database: ")
