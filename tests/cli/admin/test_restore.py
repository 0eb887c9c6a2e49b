"""Restores that are killed, or refused by the database."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from models.config.settings import Settings
from models.context import AppContext
from models.files.presence import require_store
from models.operations.upgrade import upgrade
from models.tables.intake import State, Study
from models.worklist.order import Listing, count_studies
from models.worklist.summaries import find_stale
from tests.support.data.kept import all_rows, fill_history
from tests.support.data.rows import a_job, an_image
from tests.support.servers.command import run_on
from tests.support.servers.databases import PostgresDatabases, open_database
from tests.support.servers.keeper import Keeper, files_of, loose_ends
from tests.support.servers.kill_points import KillPoint, is_killed


def copying(event: str, arguments: tuple[Any, ...]) -> bool:
    return event == "open" and "restored/secrets.json" in str(arguments[0])


def committed(event: str, arguments: tuple[Any, ...]) -> bool:
    return event == "os.remove" and str(arguments[0]).endswith(".restoring")


@pytest.fixture(params=["sqlite", "postgresql"])
def new(request: pytest.FixtureRequest, restored: Settings) -> Settings:
    is_postgres = request.param == "postgresql"
    url = request.getfixturevalue("postgres").make() if is_postgres else ""
    return restored.model_copy(update={"database_url": url})


@pytest.mark.parametrize("at", [copying, committed])
def test_killed_restore_is_repeated(
    keeper: Keeper, context: AppContext, new: Settings, at: KillPoint
) -> None:
    fill_history(context)
    keeper.backup()
    assert is_killed(lambda: keeper.restore(new), at=at)
    refused = run_on(new, "migrate")
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert "has not ended: run overread restore again" in refused.output
    keeper.restore(new)
    check_is_whole(keeper, new)


def check_is_whole(keeper: Keeper, new: Settings) -> None:
    before = keeper.context.settings
    assert files_of(new.data_dir) == files_of(before.data_dir)
    assert loose_ends(new) == []
    with open_database(before) as old:
        rows = {table: len(found) for table, found in all_rows(old.engine).items()}
    with open_database(new) as restored:
        found = {table: len(rows) for table, rows in all_rows(restored.engine).items()}
        with restored.sessions() as session:
            studies = list(session.scalars(select(Study.id)))
            assert find_stale(session, studies) == set()
            assert count_studies(session, Listing()) == len(studies) > 0
    assert found == rows, "the new audit says that it was restored, the old one that it was saved"
    assert not (new.data_dir / ".restoring").exists()
    upgrade(new)


def test_killed_restore_refuses_another_backup(keeper: Keeper, restored: Settings) -> None:
    keeper.backup()
    assert is_killed(lambda: keeper.restore(restored), at=copying)
    other = keeper.restore(restored, "--from", "20990101T000000Z", fine=False)
    source = keeper.newest().name
    assert f"is half restored from {source}: use --from {source}" in other.output
    assert f"Restored {source}" in keeper.restore(restored, "--from", source).output


@pytest.fixture
def refusing(postgres: PostgresDatabases, restored: Settings) -> Iterator[tuple[Settings, Engine]]:
    """A database that takes every row of the audit, and refuses them when they are committed."""
    new = restored.model_copy(update={"database_url": postgres.make()})
    with open_database(new) as opened:
        with opened.engine.begin() as connection:
            connection.execute(text(REFUSING))
        yield new, opened.engine


REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$;
CREATE FUNCTION arm() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF to_regclass('audit') IS NOT NULL
            AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'refused') THEN
        CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON audit
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
    END IF;
END $$;
CREATE EVENT TRIGGER armed ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION arm();
"""


def test_refused_commit_leaves_nothing(
    keeper: Keeper, context: AppContext, refusing: tuple[Settings, Engine]
) -> None:
    new, engine = refusing
    fill_history(context)
    keeper.backup()
    refused = keeper.restore(new, fine=False)
    assert "no room; not restored yet, run the same command again" in refused.output
    assert {one.name for one in new.data_dir.iterdir()} == {"supervisor.lock"}
    with engine.begin() as connection:
        connection.execute(text("DROP EVENT TRIGGER armed"))
    keeper.restore(new)
    check_is_whole(keeper, new)


def test_restored_service_without_files_takes_uploads(
    keeper: Keeper, context: AppContext, restored: Settings
) -> None:
    """Of a backup in which all images were rejected."""
    with context.sessions.begin() as session:
        an_image(session, a_job(session), state=State.REJECTED)
    keeper.backup()
    keeper.restore(restored)
    upgrade(restored)
    require_store(restored.files_dir)
