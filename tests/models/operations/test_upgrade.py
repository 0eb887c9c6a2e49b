"""Upgrade makes the data folder and database that the service needs."""

import stat

from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.learning.promotion import install_baseline, production_history
from models.learning.versions import find_version, version_path
from models.operations.upgrade import upgrade
from models.people.local_token import local_token_path
from models.people.tokens import find_api_token
from models.query import count_rows
from models.tables.intake import ModelAlias
from models.tables.people import Role, User
from pipeline.inference.version_folder import BASELINE, load_card
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
