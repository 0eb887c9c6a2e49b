"""Upgrade makes the data folder and database that the service needs."""

import stat

from models.config.settings import Settings
from models.learning.promotion import production_history, set_production
from models.learning.versions import find_version, version_path
from models.operations.upgrade import upgrade
from models.people.tokens import local_token_path, user_of_token
from models.query import count_rows
from models.tables.intake import ModelAlias, ModelVersion
from models.tables.people import Role, User
from pipeline.inference.version_folder import BASELINE, load_card
from tests.support.data.rows import a_version, live_version
from tests.support.servers.databases import Database, open_database


def test_upgrade_makes_all_that_a_start_needs(empty_database: Database) -> None:
    settings = empty_database.settings
    upgrade(settings)
    token = local_token_path(settings.data_dir)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    with empty_database.sessions() as session:
        user = user_of_token(session, token.read_text().strip(), "api")
        version = live_version(session)
    assert user is not None
    assert (user.name, user.role) == ("admin", Role.ADMIN)
    assert version.card["model_version"] == version.name
    assert version_path(version, data_dir=settings.data_dir) == BASELINE


def test_upgrade_twice_changes_nothing(empty_database: Database) -> None:
    settings = empty_database.settings
    upgrade(settings)
    token = local_token_path(settings.data_dir).read_text()
    upgrade(settings)
    assert local_token_path(settings.data_dir).read_text() == token
    with empty_database.sessions() as session:
        assert (count_rows(session, User), count_rows(session, ModelAlias)) == (1, 1)


def test_upgrade_replaces_the_token_of_another_database(settings: Settings) -> None:
    settings.data_dir.mkdir()
    local_token_path(settings.data_dir).write_text("from elsewhere\n")
    upgrade(settings)
    token = local_token_path(settings.data_dir).read_text().strip()
    with open_database(settings, make_tables=False) as database, database.sessions() as session:
        assert user_of_token(session, token, "api") is not None


def test_upgrade_replaces_an_older_shipped_network(empty_database: Database) -> None:
    settings = empty_database.settings
    upgrade(settings)
    with empty_database.sessions.begin() as session:
        a_version(session, name="baseline-0")
    upgrade(settings)
    with empty_database.sessions() as session:
        assert find_version(session, "baseline-0") is not None
        assert live_version(session).name == load_card(BASELINE).model_version
        newest = production_history(session)[0]
    assert newest.reason == "replaces baseline-0 of an earlier release"


def test_upgrade_keeps_the_sites_own_network_in_production(empty_database: Database) -> None:
    settings = empty_database.settings
    upgrade(settings)
    with empty_database.sessions.begin() as session:
        own = ModelVersion(name="ours", folder="versions/ours", card={"model_version": "ours"})
        session.add(own)
        session.flush()
        set_production(session, own, reason="better")
    upgrade(settings)
    with empty_database.sessions() as session:
        assert live_version(session).name == "ours"
