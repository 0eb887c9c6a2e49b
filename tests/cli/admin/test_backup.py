"""`overread backup` and `overread restore`."""

import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import DateTime, MetaData, delete, select

from models.base import UtcDateTime
from models.config.secrets import SECRETS_FILE, local_token_path
from models.config.settings import Settings
from models.context import AppContext, open_context
from models.files.deletion_lock import hold_deletions
from models.operations.dump import write_table
from models.operations.upgrade import upgrade
from models.people.logins import begin_login, find_login
from models.people.tokens import LinkKind, TokenKind, find_api_token, issue_token, user_of_link
from models.reading.predictions import add_predictions
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import Audit, Image, Prediction, State, Study
from pipeline.checksum import sha256_of
from tests.support.data.first_release import TIME, install_first_release
from tests.support.data.kept import all_rows, an_image_in, fill_history
from tests.support.data.power_cut import Disk
from tests.support.data.rows import a_job, a_prediction, a_user, live_version
from tests.support.servers.databases import Database, both_databases, open_database, open_session
from tests.support.servers.keeper import Keeper, files_of, loose_ends
from tests.support.servers.service import wait_until
from worker.tidy import discard_uploads

LINKS: tuple[LinkKind, ...] = ("login", "invitation")


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, context: AppContext, restored: Settings) -> Settings:
    """On the other database."""
    url = request.getfixturevalue("postgres").make() if context.settings.is_sqlite else ""
    return restored.model_copy(update={"database_url": url})


def expected(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """As they are restored: nobody works on anything, uploads under way begin again."""
    changed = {table: [list(row) for row in found] for table, found in rows.items()}
    for table in ("image", "night"):
        for row in changed[table]:
            if "someone" in row:
                at = row.index("someone")
                row[at - 1 : at + 2] = [0, None, None]
    for row in changed["upload"]:
        if row[5] < row[3]:
            row[5] = 0
    return {table: [tuple(row) for row in found] for table, found in changed.items()}


@both_databases
def test_restore_to_the_other_database_is_complete(
    keeper: Keeper, context: AppContext, elsewhere: Settings
) -> None:
    fill_history(context)
    settings = context.settings
    with open_database(settings) as database:
        before = all_rows(database.engine)
    saved = keeper.backup()
    with context.sessions.begin() as session:
        a_job(session, name="after the backup")

    restored = keeper.restore(elsewhere)

    for said in (saved, restored):
        assert "1 job, 7 images, 2 predictions, 3 labels, 2 model versions" in said.output
    with open_database(elsewhere) as database:
        after = all_rows(database.engine)
        with database.sessions() as session:
            assert (
                session.scalars(select(Audit.action).order_by(Audit.id)).all()[-1]
                == "backup.restored"
            )
        after["audit"].pop()
        (local,) = after.pop("token")
        assert [(*local[:-1], None)] == before.pop("token")
        assert local[-1] is not None, "the local token is revoked"
        assert after == expected(before)
        check_new_ids(database)
    assert loose_ends(elsewhere) == []
    assert files_of(elsewhere.data_dir) == files_of(settings.data_dir)
    everything = [*elsewhere.data_dir.rglob("*"), *keeper.folder.rglob("*")]
    assert not [path for path in everything if path.stat().st_mode & 0o077]
    kept = (settings.data_dir / "secrets.json").read_text()
    assert (elsewhere.data_dir / "secrets.json").read_text() == kept


def test_backup_holds_no_token_and_that_of_an_old_backup_is_ignored(
    keeper: Keeper, context: AppContext, restored: Settings
) -> None:
    """It would be a login to the service that was backed up."""
    token = local_token_path(context.settings.data_dir).read_bytes()
    keeper.backup()
    files = [path for path in keeper.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if token.strip() in path.read_bytes()]
    (keeper.newest() / "token").write_bytes(token)  # as an older release made it
    keeper.rewrite_manifest(
        sha256=dict(keeper.manifest().sha256) | {"token": hashlib.sha256(token).hexdigest()}
    )
    keeper.restore(restored)
    assert not local_token_path(restored.data_dir).exists()
    upgrade(restored)
    assert local_token_path(restored.data_dir).read_bytes() != token


def test_backup_and_restore_survive_a_power_cut(
    keeper: Keeper,
    context: AppContext,
    restored: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill_history(context)
    disk = Disk(tmp_path, monkeypatch)
    keeper.backup()
    saved = {path: path.read_bytes() for path in keeper.folder.rglob("*") if path.is_file()}
    survivors = disk.survivors()
    for path, content in saved.items():
        assert survivors[path.relative_to(tmp_path).as_posix()] == content
    keeper.restore(restored)
    survivors = disk.survivors()
    for name, content in files_of(restored.data_dir).items():
        assert survivors[f"{restored.data_dir.name}/{name}"] == content
    assert f"{restored.data_dir.name}/secrets.json" in survivors


def check_new_ids(database: Database) -> None:
    """A row that is added does not meet one that came back, nor one that was forgotten before."""
    with database.sessions.begin() as session:
        last = session.scalars(select(Study.id).order_by(Study.id.desc())).first()
        new = Study(study_hash="new")
        session.add(new)
        session.flush()
        assert new.id == (last or 0) + 2
        session.delete(new)


def test_second_backup_copies_only_new_files(keeper: Keeper, context: AppContext) -> None:
    job_id = fill_history(context)
    keeper.backup()
    first, saved = keeper.newest(), {path: path.stat().st_mtime_ns for path in keeper.contents()}
    an_image_in(context, job_id, State.RECEIVED, number=99)
    keeper.backup()
    now_saved = {path: path.stat().st_mtime_ns for path in keeper.contents()}
    assert saved.items() < now_saved.items()
    assert len(now_saved) == len(saved) + 1

    with context.sessions.begin() as session:
        session.execute(delete(Image).where(Image.file == "ä/99.png"))
    pruned = keeper.backup("--keep", "1")
    assert "Deleted 2 older backups and 1 file" in pruned.output
    assert not first.exists()
    assert keeper.contents() == sorted(saved)


def test_restore_upgrades_the_tables_of_an_older_release(
    empty_database: Database, tmp_path: Path, restored: Settings
) -> None:
    engine, source = empty_database.engine, Settings(data=tmp_path / "source")
    install_first_release(empty_database.settings, engine)
    upgrade(source)
    keeper = Keeper(open_context(source), tmp_path / "kept")
    keeper.backup()
    old, rows = MetaData(), {}
    old.reflect(engine)
    old.remove(old.tables["alembic_version"])
    for column in (column for table in old.sorted_tables for column in table.columns):
        if isinstance(column.type, DateTime):
            column.type = UtcDateTime()
    with engine.connect() as connection:
        for table in old.sorted_tables:
            path = keeper.newest() / "tables" / f"{table.name}.jsonl.gz"
            rows[table.name] = write_table(connection, table, path, report=lambda rows: None)
    key = {SECRETS_FILE: sha256_of(keeper.newest() / SECRETS_FILE)}
    keeper.rewrite_manifest(revision="0001", rows=rows, last_ids={}, sha256=key)

    keeper.restore(restored)
    with open_session(restored) as session:
        image = session.scalars(select(Image).order_by(Image.id)).first()
        assert image is not None
        assert (image.state, image.created_at) == (State.RECEIVED, TIME)
        answers = session.scalars(select(Prediction).order_by(Prediction.id)).all()
        assert [one.temperature for one in answers] == [1.67, None, 1.67]
        assert {one.operating_point for one in answers} == {"balanced"}


def test_restore_ends_logins_and_revokes_links(
    keeper: Keeper, context: AppContext, restored: Settings
) -> None:
    """A copy of a cookie, and a link that was used after the backup, open nothing."""
    kinds: tuple[TokenKind, ...] = (*LINKS, "api")
    with context.sessions.begin() as session:
        user, lasts = a_user(session), timedelta(days=3)
        cookie = begin_login(session, user, lasts=lasts)
        secrets = {
            kind: issue_token(session, user=user, kind=kind, lifetime=lasts) for kind in kinds
        }
    keeper.backup()
    assert "All users must sign in again" in keeper.restore(restored).output
    for settings, holds in ((context.settings, True), (restored, False)):
        with open_session(settings) as reading:
            assert (find_login(reading, cookie, idle=lasts) is not None) == holds
            links = [user_of_link(reading, secrets[kind], kind) for kind in LINKS]
            assert [one is not None for one in links] == [holds, holds]
            assert find_api_token(reading, secrets["api"]) is not None


def test_uploads_stay_while_a_backup_runs(context: AppContext) -> None:
    stored = context.store.put(io.BytesIO(b"read by now"))
    with hold_deletions(context.store.root):
        discard_uploads(context, [stored.sha256])
        assert context.store.exists(stored.sha256, area="incoming")
    discard_uploads(context, [stored.sha256])
    assert not context.store.exists(stored.sha256, area="incoming")


@contextmanager
def working(context: AppContext, version_id: int) -> Iterator[Counter[str]]:
    """Upload and read images one after the other, as portal and workers do; yields the count."""
    stopping, done = threading.Event(), Counter[str]()
    with context.sessions.begin() as session:
        job_id = str(a_job(session).id)

    def work() -> None:
        while not stopping.is_set():
            sha256 = an_image_in(context, job_id, State.RECEIVED, number=done["images"])
            read(context, sha256, version_id)
            done["images"] += 1

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            yield done
        finally:
            stopping.set()
            future.result()


def read(context: AppContext, sha256: str, version_id: int) -> None:
    context.store.put_network_input(sha256, "1", np.zeros((224, 224), np.uint8))
    stored = context.store.put_bytes(sha256.encode()).sha256
    with context.sessions.begin() as session:
        study = NewStudy(f"study of {sha256}"[:64])
        study_id = get_or_create_studies(session, [study])[study.study_hash]
        image = session.scalars(select(Image).where(Image.sha256 == sha256)).one()
        image.state, image.stored_sha256, image.study_id = State.PREDICTED, stored, study_id
        answers = {sha256: a_prediction()}
        add_predictions(session, answers, model_version_id=version_id, engine="a test")
    discard_uploads(context, [sha256])


@both_databases
def test_backup_of_a_busy_service_is_complete(
    keeper: Keeper, context: AppContext, tmp_path: Path
) -> None:
    """Every row has its files, whatever is written and deleted while it runs."""
    with context.sessions() as session:
        version = live_version(session)
    with working(context, version.id) as done:
        for number in range(3):
            wait_until(lambda least=number: done["images"] > least, what="some work")  # type: ignore[misc]
            saved = keeper.backup()
            assert "warning" not in saved.output
    counted = []
    for number, backup in enumerate(sorted((keeper.folder / "backups").iterdir())):
        restored = Settings(data=tmp_path / f"restored {number}")
        keeper.restore(restored, "--from", backup.name)
        assert loose_ends(restored) == []
        counted.append(json.loads((backup / "manifest.json").read_text())["rows"]["image"])
    assert 1 <= counted[0] <= counted[1] <= counted[2] <= done["images"] + 1
    assert counted[2] >= 3
