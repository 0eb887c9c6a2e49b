"""What is not there yet is told from what is wrong."""

from pathlib import Path

from alembic import command
from click.testing import Result

from cli.lockfile import hold_data_folder
from cli.service.doctor import check_everything
from cli.service.doctor_database import check_database
from cli.service.findings import Finding
from cli.settings import CommandSettings
from models.config.settings import Settings
from models.operations.upgrade import RESTORING, alembic_config, migrate, migrating, newest_revision
from tests.support.servers.command import run
from tests.support.servers.databases import Database


def doctor(settings: Settings) -> Result:
    url = settings.database_url
    return run("doctor", OVERREAD_DATA=str(settings.data_dir), OVERREAD_DATABASE_URL=url)


def test_a_database_that_is_being_set_up_is_not_wrong(empty_database: Database) -> None:
    settings, name = empty_database.settings, empty_database.engine.dialect.name
    early = Finding("-", "database", f"{name}, being set up: the service is starting")
    settings.data_dir.chmod(0o700)
    with hold_data_folder(settings.data_dir), migrating(empty_database.engine) as connection:
        connection.exec_driver_sql("SELECT 1")
        assert check_database(settings) == early
        command.upgrade(alembic_config(connection), "head")
        assert check_database(settings) == early
        told = doctor(settings)
        assert told.exit_code == 0, told.stdout
        assert "WRONG" not in told.stdout
        assert "orphans    not looked for: the database is not ready" in told.stdout
        assert told.stdout.count("the service is starting") == 3, "database, broker, portal"
    assert check_database(settings).mark == "ok"


def test_a_folder_that_was_made_just_now_says_that_it_is_starting(settings: Settings) -> None:
    with hold_data_folder(settings.data_dir):
        assert check_database(settings).says == "not there yet: the service is starting"
    assert check_database(settings).says == "not there yet: overread up"


def test_without_a_service_a_database_is_empty_older_newer_or_foreign(
    empty_database: Database,
) -> None:
    settings, engine = empty_database.settings, empty_database.engine
    name = engine.dialect.name
    engine.connect().close()  # makes SQLite's file
    expected = Finding("-", "database", f"{name}, no tables yet: overread up")
    assert check_database(settings) == expected
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE guest (id integer)")
    foreign = check_database(settings)
    assert (foreign.mark, foreign.says) == (
        "WRONG",
        "there are tables in it that are not Overread's",
    )
    migrate(engine, "0001")
    older = f"tables are at 0001, expected {newest_revision()}: overread migrate"
    assert check_database(settings) == Finding("WRONG", "database", older)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert check_database(settings).says == "tables are at 9999, which only a later release knows"


def test_a_restore_that_has_not_ended_is_told(tmp_path: Path) -> None:
    settings = CommandSettings(data=tmp_path / "data", database_url="")
    (settings.data_dir / RESTORING / "ready").mkdir(parents=True)
    settings.data_dir.chmod(0o700)
    with hold_data_folder(settings.data_dir):
        assert check_database(settings).says == "not there yet: a restore is at work"
        assert next(check_everything(settings)).mark == "ok"
    told = next(check_everything(settings))
    assert told.is_wrong
    assert "has not ended: the same overread restore once more" in told.says


def test_too_little_room_is_told_with_the_setting(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    told = next(check_everything(CommandSettings(data=tmp_path, disk_reserve_bytes=2**60)))
    assert told.is_wrong
    assert told.says.endswith("less than OVERREAD_DISK_RESERVE_BYTES: uploads are refused")
