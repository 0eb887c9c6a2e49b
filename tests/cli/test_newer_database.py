"""An older program is started again on what a later one has migrated: it leaves it alone."""

from pathlib import Path

import pytest

from models.settings import Settings
from models.upgrade import upgrade
from tests.command import run
from tests.databases import open_database


@pytest.mark.parametrize("command", ["migrate", "up"])
def test_tables_of_a_later_release_are_one_line(command: str, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    upgrade(settings)
    with (
        open_database(settings, make_tables=False) as database,
        database.engine.begin() as connection,
    ):
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    refused = run(command, OVERREAD_DATA=str(settings.data_dir), OVERREAD_PORT="0")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[-1] == (
        "Error: the database's tables are those of a later release: "
        "start that release, or restore a backup of this one"
    )
    assert "Traceback" not in refused.stderr
