"""Upgrade makes the data folder and database that the service needs."""

import stat
import sys

import pytest
from sqlalchemy.orm import Session

from models.config.secrets import local_token_path
from models.config.settings import MADE_FILE, Settings
from models.files.store import FileStore
from models.learning.promotion import install_baseline, production_history
from models.learning.versions import find_version, version_path
from models.operations import upgrade as upgrades
from models.operations.seal_inputs import are_sealed
from models.operations.upgrade import UpgradeRefusedError, upgrade
from models.people.tokens import find_api_token
from models.query import count_rows
from models.tables.intake import ModelAlias
from models.tables.people import Role, User
from pipeline.inference.version_folder import BASELINE, load_card
from tests.support.data.first_release import install_first_release
from tests.support.data.rows import a_version, live_version
from tests.support.servers.databases import Database, open_database


def test_upgrade_makes_once_all_that_a_start_needs(empty_database: Database) -> None:
    settings = empty_database.settings
    path = local_token_path(settings.data_dir)
    upgrade(settings)
    earlier = path.read_text()
    upgrade(settings)
    token = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with empty_database.sessions() as session:
        assert find_api_token(session, earlier.strip()) is None, "each start replaces it"
        found = find_api_token(session, token.strip())
        version = live_version(session)
        assert (count_rows(session, User), count_rows(session, ModelAlias)) == (1, 1)
    assert found is not None
    assert (found.user.name, found.user.role) == ("admin", Role.ADMIN)
    assert version.card["model_version"] == version.name
    assert version_path(version, data_dir=settings.data_dir) == BASELINE


def test_upgrade_of_newest_tables_does_not_need_alembic(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(empty_database.settings)
    for name in [one for one in sys.modules if one.partition(".")[0] == "alembic"]:
        monkeypatch.setitem(sys.modules, name, None)
    upgrade(empty_database.settings)


def test_upgrade_replaces_the_token_of_another_database(settings: Settings) -> None:
    settings.data_dir.mkdir()
    local_token_path(settings.data_dir).write_text("from elsewhere\n")
    upgrade(settings)
    token = local_token_path(settings.data_dir).read_text().strip()
    with open_database(settings, make_tables=False) as database, database.sessions() as session:
        assert find_api_token(session, token) is not None


def test_install_baseline_replaces_an_older_shipped_network(
    session: Session, settings: Settings
) -> None:
    a_version(session, name="baseline-0")
    install_baseline(session, data_dir=settings.data_dir)
    assert find_version(session, "baseline-0") is not None
    assert live_version(session).name == load_card(BASELINE).model_version
    newest = production_history(session)[0]
    assert newest.reason == "replaces baseline-0 of an earlier release"


def test_upgrade_of_older_release_waits_for_its_file_store(empty_database: Database) -> None:
    """Its network inputs would never be sealed, and all of them taken for damaged."""
    settings = empty_database.settings
    install_first_release(settings, empty_database.engine)
    away = settings.files_dir.rename(settings.data_dir / "elsewhere")
    for _ in range(2):
        with pytest.raises(UpgradeRefusedError, match="is its disk mounted"):
            upgrade(settings)
        assert not settings.files_dir.exists()
    away.rename(settings.files_dir)
    upgrade(settings)
    assert are_sealed(FileStore(settings.files_dir))


def test_store_is_marked_only_after_its_inputs_are_sealed(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(upgrades, "seal_inputs", killed)
    with pytest.raises(KeyboardInterrupt):
        upgrade(empty_database.settings)
    assert not (empty_database.settings.data_dir / MADE_FILE).exists()
