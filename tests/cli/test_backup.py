"""`overread backup` and `overread restore`: all of it comes back, or nothing does."""

import hashlib
import io
import json
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import MetaData, delete, select

from cli.main import main
from cli.service_file import hold_data_folder
from models.deletions import hold_deletions
from models.local_token import local_token_path
from models.orphans import find_orphans
from models.settings import Settings
from models.table_lines import write_table
from models.tables import Audit, Image, Prediction, State, Study
from models.upgrade import upgrade
from tests.databases import Database, PostgresDatabases, open_database
from tests.kept import all_rows, an_image_in, fill_history
from tests.models.test_migrations import TIME, fill_first_tables
from tests.rows import a_job
from tests.service import OVERREAD, environment
from worker.doors import Doors, open_doors
from worker.uploads import discard_uploads

ON_SQLITE = pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)


@pytest.fixture
def doors(empty_database: Database) -> Iterator[Doors]:
    upgrade(empty_database.settings)
    opened = open_doors(empty_database.settings)
    yield opened
    opened.close()


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> Result:
    monkeypatch.setenv("OVERREAD_DATA", str(settings.data))
    monkeypatch.setenv("OVERREAD_DATABASE_URL", settings.database_url)
    return CliRunner().invoke(main, list(map(str, arguments)))


class Keeper:
    """Backs up the service of `doors` to a folder, and restores it elsewhere."""

    def __init__(self, doors: Doors, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.doors, self.folder, self.monkeypatch = doors, folder, monkeypatch

    def backup(self, *options: str, fine: bool = True) -> Result:
        done = run(self.doors.settings, self.monkeypatch, "backup", self.folder, *options)
        assert (done.exit_code == 0) == fine, done.output
        return done

    def restore(self, settings: Settings, *options: str, fine: bool = True) -> Result:
        done = run(settings, self.monkeypatch, "restore", self.folder, *options)
        assert (done.exit_code == 0) == fine, done.output
        return done

    def newest(self) -> Path:
        return max((self.folder / "backups").iterdir())

    def contents(self) -> list[Path]:
        return sorted((self.folder / "files").glob("??/*"))


@pytest.fixture
def keeper(doors: Doors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    return Keeper(doors, tmp_path / "kept", monkeypatch)


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, doors: Doors, tmp_path: Path) -> Settings:
    """A place on the other database."""
    url = request.getfixturevalue("postgres").make() if doors.settings.is_sqlite else ""
    return Settings(data=tmp_path / "elsewhere", database_url=url)


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


def files_of(data_dir: Path) -> dict[str, bytes]:
    folders = [data_dir / "files" / area for area in ("incoming", "stored", "inputs")]
    paths = [path for one in (*folders, data_dir / "networks") for path in one.rglob("*")]
    return {str(p.relative_to(data_dir)): p.read_bytes() for p in paths if p.is_file()}


def test_everything_comes_back_on_the_other_database(
    keeper: Keeper, doors: Doors, elsewhere: Settings
) -> None:
    fill_history(doors)
    settings = doors.settings
    with open_database(settings, make_tables=False) as database:
        before = all_rows(database.engine)
    saved = keeper.backup()
    with doors.sessions.begin() as session:
        a_job(session, name="after the backup")

    restored = keeper.restore(elsewhere)

    for said in (saved, restored):
        assert "1 jobs, 7 images, 2 predictions, 3 labels, 2 model versions" in said.output
    with open_database(elsewhere, make_tables=False) as database:
        after = all_rows(database.engine)
        with database.sessions() as session:
            assert session.scalars(select(Audit.action)).all()[-1] == "backup.restored"
        after["audit"].pop()
        assert after == expected(before)
        check_new_ids(database)
    assert loose_ends(elsewhere) == []
    assert files_of(elsewhere.data_dir) == files_of(settings.data_dir)
    everything = [*elsewhere.data_dir.rglob("*"), *keeper.folder.rglob("*")]
    assert not [path for path in everything if path.stat().st_mode & 0o077]
    for name in ("secrets.json", "token"):
        kept = (settings.data_dir / name).read_text()
        assert (elsewhere.data_dir / name).read_text() == kept
    upgrade(elsewhere)
    assert local_token_path(elsewhere.data_dir).read_text() == kept, "it is valid still"


def check_new_ids(database: Database) -> None:
    """A row that is added does not meet one that came back, nor one that was forgotten before."""
    with database.sessions.begin() as session:
        last = session.scalars(select(Study.id).order_by(Study.id.desc())).first()
        new = Study(study_hash="new")
        session.add(new)
        session.flush()
        assert (new.id, session.delete(new)) == ((last or 0) + 2, None)


def loose_ends(settings: Settings) -> list[str]:
    opened = open_doors(settings)
    try:
        return find_orphans(opened.sessions, opened.store)
    finally:
        opened.close()


@ON_SQLITE
def test_a_second_backup_copies_only_what_is_new(keeper: Keeper, doors: Doors) -> None:
    job_id = fill_history(doors)
    keeper.backup()
    first, saved = keeper.newest(), {path: path.stat().st_mtime_ns for path in keeper.contents()}
    an_image_in(doors, job_id, State.RECEIVED, number=99)
    wait_for_the_next_second(first)
    keeper.backup()
    now_saved = {path: path.stat().st_mtime_ns for path in keeper.contents()}
    assert saved.items() < now_saved.items()
    assert len(now_saved) == len(saved) + 1

    with doors.sessions.begin() as session:
        session.execute(delete(Image).where(Image.file == "ä/99.png"))
    wait_for_the_next_second(keeper.newest())
    pruned = keeper.backup("--keep", "1")
    assert "Deleted 2 older backups and 1 files" in pruned.output
    assert not first.exists()
    assert keeper.contents() == sorted(saved)


def wait_for_the_next_second(backup: Path) -> None:
    """Backups are named by it."""
    while time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) <= backup.name:
        time.sleep(0.05)


@ON_SQLITE
def test_what_is_damaged_is_not_restored(keeper: Keeper, doors: Doors, tmp_path: Path) -> None:
    fill_history(doors)
    keeper.backup()
    new = Settings(data=tmp_path / "new", database_url="")
    rows, content = keeper.newest() / "tables" / "image.jsonl.gz", keeper.contents()[0]
    for path in (rows, content):
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        said = keeper.restore(new, fine=False).output
        assert str(path) in said
        assert "nothing was restored" in said
        path.write_bytes(good)
        assert [left.name for left in new.data_dir.iterdir()] == ["supervisor.lock"]
    content.rename(tmp_path / "gone")
    assert (
        f"1 of {len(files_of(doors.settings.data_dir))}" in keeper.restore(new, fine=False).output
    )
    (tmp_path / "gone").rename(content)
    keeper.restore(new)
    assert loose_ends(new) == []


@ON_SQLITE
def test_nothing_is_overwritten(
    keeper: Keeper, doors: Doors, tmp_path: Path, postgres: PostgresDatabases
) -> None:
    assert "no backup that is whole" in keeper.restore(doors.settings, fine=False).output
    keeper.backup()
    assert "is not empty" in keeper.restore(doors.settings, fine=False).output
    filled = Settings(data=tmp_path / "new", database_url=postgres.make_filled())
    assert "the database is not empty" in keeper.restore(filled, fine=False).output
    new = Settings(data=tmp_path / "new", database_url="")
    with hold_data_folder(new.data_dir):
        assert "a service is running on" in keeper.restore(new, fine=False).output
    assert "no such backup" in keeper.restore(new, "--from", "yesterday", fine=False).output
    unfinished = keeper.newest().with_name("20990101T000000Z.unfinished")
    shutil.copytree(keeper.newest(), unfinished)
    keeper.restore(new)


@ON_SQLITE
def test_backups_of_nothing_and_into_the_data_folder_are_refused(
    keeper: Keeper, doors: Doors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = run(doors.settings, monkeypatch, "backup", doors.settings.data_dir / "kept")
    assert "would be lost with it" in inside.output
    nothing = run(
        Settings(data=tmp_path / "nothing", database_url=""), monkeypatch, "backup", keeper.folder
    )
    assert "there is nothing to save" in nothing.output
    with hold_deletions(doors.store.root):
        assert "another backup of this service" in keeper.backup(fine=False).output


@ON_SQLITE
def test_a_disk_that_is_full_is_said_in_one_line(keeper: Keeper, doors: Doors) -> None:
    """Its place is taken by a limit on the size of files, which needs no disk of its own."""
    fill_history(doors)
    done = subprocess.run(
        [*OVERREAD, "backup", str(keeper.folder)],
        env=environment(doors.settings.data_dir),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "File too large; nothing was saved" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    keeper.backup()
    assert [path.name for path in (keeper.folder / "backups").iterdir()] == [keeper.newest().name]


@ON_SQLITE
def test_a_release_that_is_too_old_or_damaged_files_are_told(
    keeper: Keeper, doors: Doors, tmp_path: Path
) -> None:
    job_id = fill_history(doors)
    with doors.sessions() as session:
        ready = session.scalars(select(Image).where(Image.state == State.READY)).one()
    assert ready.stored_sha256 is not None
    doors.store.path(ready.stored_sha256).write_bytes(b"rot")
    an_image_in(doors, job_id, State.RECEIVED, number=50)
    doors.store.delete(hashlib.sha256(f"upload {job_id} 50".encode()).hexdigest())
    saved = keeper.backup()
    assert "1 files that rows need were not there" in saved.output
    assert "1 files are not what their names say" in saved.output
    manifest = keeper.newest() / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"revision": "9999"}))
    said = keeper.restore(Settings(data=tmp_path / "new", database_url=""), fine=False).output
    assert "its tables are at 9999, and this release knows them up to" in said


def test_an_older_releases_backup_is_brought_to_todays_tables(
    empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines name its own columns."""
    engine, source = empty_database.engine, Settings(data=tmp_path / "source", database_url="")
    fill_first_tables(engine)
    upgrade(source)
    keeper = Keeper(open_doors(source), tmp_path / "kept", monkeypatch)
    keeper.backup()
    old = MetaData()
    old.reflect(engine)
    tables = [one for one in old.sorted_tables if one.name != "alembic_version"]
    manifest = keeper.newest() / "manifest.json"
    with engine.connect() as connection:
        rows = {
            one.name: write_table(
                connection, one, keeper.newest() / "tables" / f"{one.name}.jsonl.gz", report=len_of
            )
            for one in tables
        }
    new = {"revision": "0001", "rows": rows, "last_ids": {}, "sha256": {}}
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | new))

    restored = Settings(data=tmp_path / "restored", database_url="")
    keeper.restore(restored)
    with open_database(restored, make_tables=False) as database, database.sessions() as session:
        image = session.scalars(select(Image).order_by(Image.id)).first()
        assert image is not None
        assert (image.state, image.created_at) == (State.PREDICTED, TIME)
        answers = session.scalars(select(Prediction).order_by(Prediction.id)).all()
        assert [one.temperature for one in answers] == [1.25, None, 1.25]
        assert {one.operating_point for one in answers} == {"balanced"}


def len_of(rows: int) -> None:
    """Nobody is told."""


@ON_SQLITE
def test_while_a_backup_is_made_uploads_stay(doors: Doors) -> None:
    stored = doors.store.put(io.BytesIO(b"read by now"))
    with hold_deletions(doors.store.root):
        discard_uploads(doors, [stored.sha256])
        assert doors.store.exists(stored.sha256, area="incoming")
    discard_uploads(doors, [stored.sha256])
    assert not doors.store.exists(stored.sha256, area="incoming")
