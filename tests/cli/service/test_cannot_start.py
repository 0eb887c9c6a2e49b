"""Why a service does not start is one line."""

from pathlib import Path

from models.config.settings import Settings
from models.operations.upgrade import upgrade
from tests.support.servers.command import run
from tests.support.servers.databases import open_database
from tests.support.servers.service import overread


def test_tables_of_a_later_release(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    upgrade(settings)
    with (
        open_database(settings, make_tables=False) as database,
        database.engine.begin() as connection,
    ):
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    refused = run("migrate", OVERREAD_DATA=str(settings.data_dir))
    assert refused.exit_code == 1
    assert refused.stderr == (
        "Error: the database's tables are those of a later release: "
        "start that release, or restore a backup of this one\n"
    )


# `up` in processes of its own: it closes what it writes to others, for good.


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "overread.sqlite3").write_text("damage" * 1000)
    refused = overread(tmp_path, "up")
    assert refused.returncode == 1
    said = "Error: the database cannot be read: file is not a database"
    assert refused.stderr.splitlines()[-1] == said
    assert "Traceback" not in refused.stderr


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    """No port is to blame."""
    refused = overread(tmp_path, "up", host="192.0.2.1", port="8000")
    assert refused.returncode == 2
    said = "Error: cannot listen on 192.0.2.1, port 8000: Cannot assign requested address\n"
    assert refused.stderr == said
