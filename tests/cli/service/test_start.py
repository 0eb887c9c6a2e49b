"""Starting the service: what prevents it is one line, or waited for."""

import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import text

from cli.service import processes
from cli.service.start import local_url, print_running, temporary_folder, try_upgrade
from models.config.secrets import SECRETS_FILE
from models.config.settings import Settings
from models.operations.upgrade import upgrade
from tests.support.servers.command import run_on
from tests.support.servers.databases import PostgresDatabases, open_session
from tests.support.servers.processes import environment
from tests.support.servers.service import Service, overread


def test_migrate_refuses_tables_of_a_later_release(settings: Settings) -> None:
    upgrade(settings)
    with open_session(settings) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refused = run_on(settings, "migrate")
    assert refused.exit_code == 1
    assert refused.stderr == (
        "Error: the database's tables are those of a later release: "
        "start that release, or restore a backup of this one\n"
    )


# `up` runs in a process of its own: it changes the umask.


def test_up_refuses_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "overread.sqlite3").write_text("damage" * 1000)
    refused = overread(tmp_path, "up")
    assert refused.returncode == 1
    message = "Error: the database cannot be read: file is not a database"
    assert refused.stderr.splitlines()[-1] == message
    assert "Traceback" not in refused.stderr


def test_up_refuses_an_address_of_another_machine(tmp_path: Path) -> None:
    refused = overread(tmp_path, "up", host="192.0.2.1", port="8000")
    assert refused.returncode == 2
    message = "Error: cannot listen on 192.0.2.1, port 8000: Cannot assign requested address\n"
    assert refused.stderr == message


@pytest.fixture
def unreachable(settings: Settings) -> Settings:
    url = "postgresql+psycopg://nobody:secret@127.0.0.1:1/none"
    return settings.model_copy(update={"database_url": url})


def test_command_reports_an_unreachable_database_in_one_line(unreachable: Settings) -> None:
    done = run_on(unreachable, "migrate")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: the database does not answer: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_upgrade_waits_for_the_database_server(
    unreachable: Settings, postgres: PostgresDatabases
) -> None:
    logged = list[str]()
    assert not try_upgrade(unreachable, logged.append)
    answering = unreachable.model_copy(update={"database_url": postgres.make()})
    assert try_upgrade(answering, logged.append)
    (line,) = logged
    assert line.startswith("waiting for the database: ")


@pytest.mark.parametrize(
    ("host", "bound", "url"),
    [
        ("127.0.0.1", "127.0.0.1:81", "http://127.0.0.1:81"),
        ("::1", "[::1]:81", "http://[::1]:81"),
        ("::", "[::]:81", "http://[::1]:81"),
        ("localhost", "localhost:81", "http://localhost:81"),
    ],
)
def test_addresses_are_written_for_gunicorn_and_as_urls(host: str, bound: str, url: str) -> None:
    assert bound in processes.portal(host=host, port=81).command
    assert local_url(host, 81) == url


def test_processes_get_a_temporary_folder_where_the_machine_has_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert temporary_folder(settings) == {}
    settings.data_dir.mkdir()
    folder = settings.data_dir / "temporary"
    monkeypatch.setattr(tempfile, "gettempdir", Mock(side_effect=FileNotFoundError))
    assert temporary_folder(settings) == {"TMPDIR": str(folder)}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_service_starts_in_a_folder_with_odd_signs_on_ipv6(tmp_path: Path) -> None:
    """Broker and portal, and a command that finds them."""
    name = "a [1]*?\"q' #%41\n \\x;$(id)"
    service = Service(tmp_path, {"host": "::1"}, name=name)
    try:
        service.start()
        assert service.url.startswith("http://[::1]:")
        assert {one.name for one in tmp_path.iterdir()} == {name, "log", "output"}
        assert service.run("jobs").returncode == 0
        assert "Traceback" not in service.log
    finally:
        service.end()


@pytest.fixture
def without_secrets(settings: Settings) -> Settings:
    settings = settings.model_copy(update={"broker_url": "redis://127.0.0.1:1/0"})
    upgrade(settings)
    (settings.data_dir / SECRETS_FILE).unlink()
    return settings


GUNICORN = processes.portal(host="127.0.0.1", port=0).command
ENTRIES = {
    "up": ("overread", "up"),
    "migrate": ("overread", "migrate"),
    "portal": GUNICORN,
    "ingest": processes.INGEST.command,
    "beat": processes.BEAT.command,
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_starts_without_the_secrets(without_secrets: Settings, entry: str) -> None:
    command, *arguments = ENTRIES[entry]
    done = subprocess.run(
        [Path(sys.executable).with_name(command), *arguments],
        env=environment(without_secrets) | {"OVERREAD_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    why = "secrets.json is missing: restore it from a backup of this service"
    assert sum(why in line for line in done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not (without_secrets.data_dir / SECRETS_FILE).exists()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_login_link_is_printed_to_terminals_only(
    settings: Settings,
    is_terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A log would keep it."""
    upgrade(settings)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    print_running(settings, "http://here")
    printed = capsys.readouterr().out
    assert ("http://here/login/link#" in printed) == is_terminal
    assert ("overread login-link" in printed) != is_terminal
