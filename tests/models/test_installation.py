"""One database and one identity key belong together, whichever process comes first."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from models.config.secrets import (
    SECRETS_FILE,
    SecretsError,
    new_secrets,
    read_secrets,
    write_secrets,
)
from models.config.settings import MADE_FILE, Settings
from models.context import open_context
from models.installation import establish
from models.operations.upgrade import migrate, upgrade
from models.query import count_rows
from models.session import open_database
from models.tables.installation import Installation
from models.tables.people import User
from tests.support.data.first_release import SECRETS, install_first_release
from tests.support.servers.databases import Database, downgrade

MISSING = "secrets.json is missing: restore it from a backup"
OTHER = "secrets.json is of another installation than the database"


@pytest.fixture
def installed(empty_database: Database) -> Database:
    upgrade(empty_database.settings)
    return empty_database


@pytest.fixture
def settings_elsewhere(empty_database: Database, tmp_path: Path) -> Settings:
    """Another data folder with the same database."""
    settings = empty_database.settings
    url = settings.database_url or f"sqlite:///{settings.data_dir}/overread.sqlite3"
    return Settings(data=tmp_path / "elsewhere", database_url=url)


def fingerprints(database: Database) -> list[str]:
    with database.sessions() as session:
        return [one.key_fingerprint for one in session.query(Installation)]


def test_upgrade_makes_secrets_and_records_their_fingerprint_once(installed: Database) -> None:
    made = read_secrets(installed.settings.data_dir)
    upgrade(installed.settings)
    assert read_secrets(installed.settings.data_dir) == made
    assert fingerprints(installed) == [made.fingerprint]


def test_upgrade_refuses_without_the_secrets_and_makes_none(installed: Database) -> None:
    path = installed.settings.data_dir / SECRETS_FILE
    path.unlink()
    with pytest.raises(SecretsError, match=MISSING):
        upgrade(installed.settings)
    assert not path.exists()


def test_upgrade_and_context_refuse_secrets_of_another_installation(
    installed: Database, settings_elsewhere: Settings
) -> None:
    with pytest.raises(SecretsError, match=MISSING):
        upgrade(settings_elsewhere)
    upgrade(Settings(data=settings_elsewhere.data))
    for start in (upgrade, open_context):
        with pytest.raises(SecretsError, match=OTHER):
            start(settings_elsewhere)


def test_first_upgrade_of_an_older_release_takes_its_key(empty_database: Database) -> None:
    settings = empty_database.settings
    install_first_release(settings, empty_database.engine)
    upgrade(settings)
    made = replace(new_secrets(), **SECRETS)
    assert fingerprints(empty_database) == [made.fingerprint]


def test_older_release_without_its_secrets_is_refused_unchanged(empty_database: Database) -> None:
    settings = empty_database.settings
    install_first_release(settings, empty_database.engine)
    (settings.data_dir / SECRETS_FILE).unlink()
    with pytest.raises(SecretsError, match=MISSING):
        upgrade(settings)
    with empty_database.engine.connect() as connection:
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    assert revision == "0001"


def test_restored_rows_without_secrets_get_no_key(installed: Database) -> None:
    """As a restore establishes them, from a backup of an older release."""
    settings = installed.settings
    (settings.data_dir / SECRETS_FILE).unlink()
    with installed.sessions.begin() as session:
        session.query(Installation).delete()
    with pytest.raises(SecretsError, match=MISSING), installed.sessions.begin() as session:
        establish(session, settings)
    assert not (settings.data_dir / SECRETS_FILE).exists()


def test_interrupted_first_start_is_continued(empty_database: Database) -> None:
    migrate(empty_database.engine)
    upgrade(empty_database.settings)
    read_secrets(empty_database.settings.data_dir)


@pytest.mark.parametrize("has_secrets", [False, True])
def test_new_database_beside_stored_images_is_refused(
    settings: Settings, has_secrets: bool
) -> None:
    """The hourly tidy would delete all of them."""
    settings.data_dir.mkdir()
    if has_secrets:
        write_secrets(settings.data_dir, new_secrets())
    blob = settings.files_dir / "stored" / "ab" / ("ab" * 32)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"an image")
    with pytest.raises(SecretsError, match="is in use, but the database is new"):
        upgrade(settings)
    assert (settings.data_dir / SECRETS_FILE).exists() == has_secrets


def test_new_database_beside_a_store_that_is_away_is_refused(
    installed: Database, tmp_path: Path
) -> None:
    """Also one that holds nothing yet: its disk may not be mounted."""
    other = Settings(
        data=installed.settings.data_dir, database_url=f"sqlite:///{tmp_path}/other.sqlite3"
    )
    shutil.rmtree(other.files_dir)
    with pytest.raises(SecretsError, match="is in use, but the database is new"):
        upgrade(other)


def test_first_start_that_was_killed_after_its_secrets_is_continued(settings: Settings) -> None:
    settings.data_dir.mkdir()
    made = new_secrets()
    write_secrets(settings.data_dir, made)
    upgrade(settings)
    assert read_secrets(settings.data_dir) == made


def test_concurrent_starts_make_one_key(installed: Database) -> None:
    """As processes do that find new tables at the same time."""
    settings = installed.settings
    with installed.sessions.begin() as session:
        session.query(Installation).delete()
        session.execute(text("DELETE FROM token"))
        session.execute(text("DELETE FROM model_alias"))
        session.query(User).delete()
    (settings.data_dir / SECRETS_FILE).unlink()
    (settings.data_dir / MADE_FILE).unlink()

    def start(_: int) -> str:
        with open_database(settings) as sessions, sessions.begin() as session:
            establish(session, settings)
        return read_secrets(settings.data_dir).fingerprint

    with ThreadPoolExecutor(6) as threads:
        found = set(threads.map(start, range(6)))
    assert list(found) == fingerprints(installed)


def test_of_two_new_data_folders_on_one_database_one_is_refused(
    empty_database: Database, settings_elsewhere: Settings
) -> None:
    migrate(empty_database.engine)

    def start(settings: Settings) -> str:
        settings.data_dir.mkdir(exist_ok=True)
        try:
            with open_database(settings) as sessions, sessions.begin() as session:
                establish(session, settings)
        except SecretsError as error:
            return str(error)
        return ""

    both = (empty_database.settings, settings_elsewhere)
    with ThreadPoolExecutor(2) as threads:
        refused = list(threads.map(start, both))
    assert sorted(map(bool, refused)) == [False, True]
    for settings, why in zip(both, refused, strict=True):
        assert (settings.data_dir / SECRETS_FILE).exists() == (not why)


def test_context_checks_once_the_database_answers(
    installed: Database, settings_elsewhere: Settings
) -> None:
    """A process may start while the server is away, or before the tables are upgraded."""
    upgrade(Settings(data=settings_elsewhere.data))
    downgrade(installed.engine, "0007")
    context = open_context(settings_elsewhere)
    migrate(installed.engine)
    with installed.sessions.begin() as session:
        establish(session, installed.settings)
    context.sessions.engine.dispose()
    with pytest.raises(SecretsError, match=OTHER), context.sessions() as session:
        count_rows(session, User)
    context.close()


def test_downgrade_and_upgrade_keep_users(installed: Database) -> None:
    downgrade(installed.engine, "0009")
    with Session(installed.engine) as session:
        assert count_rows(session, User) == 1
    upgrade(installed.settings)
    assert len(fingerprints(installed)) == 1
