"""Backups and restores that are refused in one line, and change nothing."""

import hashlib
import resource
import shutil
import subprocess
from pathlib import Path

from sqlalchemy import select

from cli.lockfile import hold_data_folder
from models.config.settings import Settings
from models.context import AppContext
from models.files.deletion_lock import hold_deletions
from models.tables.intake import Image, State
from tests.support.data.kept import an_image_in, fill_history
from tests.support.servers.command import run_on
from tests.support.servers.databases import PostgresDatabases
from tests.support.servers.keeper import Keeper, loose_ends
from tests.support.servers.service import OVERREAD, environment


def test_restore_overwrites_nothing(
    keeper: Keeper, context: AppContext, tmp_path: Path, postgres: PostgresDatabases
) -> None:
    assert "no complete backup" in keeper.restore(context.settings, fine=False).output
    keeper.backup()
    assert "is not empty" in keeper.restore(context.settings, fine=False).output
    filled = Settings(data=tmp_path / "new", database_url=postgres.make_filled())
    assert "the database is not empty" in keeper.restore(filled, fine=False).output
    new = Settings(data=tmp_path / "new")
    with hold_data_folder(new.data_dir):
        assert "a service is running on" in keeper.restore(new, fine=False).output
    assert "no such backup" in keeper.restore(new, "--from", "yesterday", fine=False).output
    unfinished = keeper.newest().with_name("20990101T000000Z.unfinished")
    shutil.copytree(keeper.newest(), unfinished)
    keeper.restore(new)


def test_backup_of_nothing_or_into_the_data_folder_is_refused(
    keeper: Keeper, context: AppContext, tmp_path: Path
) -> None:
    data_dir = context.settings.data_dir
    (tmp_path / "link").symlink_to(data_dir)
    for inside in (data_dir / "kept", tmp_path / "link" / "kept", tmp_path / "x" / ".." / "data"):
        refused = run_on(context.settings, "backup", inside)
        assert "would be lost with it" in refused.output
    keeper.folder = data_dir / ".." / "kept"
    keeper.backup()
    nowhere = Settings(data=tmp_path / "nothing")
    nothing = run_on(nowhere, "backup", keeper.folder)
    assert "there is nothing to save" in nothing.output
    with hold_deletions(context.store.root):
        assert "another backup of this service" in keeper.backup(fine=False).output


def test_restore_to_a_database_deeper_in_the_data_folder(keeper: Keeper, tmp_path: Path) -> None:
    keeper.backup()
    deeper = f"sqlite:///{tmp_path}/new/deeper/rows.sqlite3"
    new = Settings(data=tmp_path / "new", database_url=deeper)
    keeper.restore(new)
    assert loose_ends(new) == []
    assert {one.name for one in new.data_dir.iterdir()} >= {"deeper", "secrets.json"}


def test_restore_where_predict_has_left_its_cache(keeper: Keeper, tmp_path: Path) -> None:
    keeper.backup()
    new = Settings(data=tmp_path / "new")
    (new.data_dir / "cache").mkdir(parents=True)
    keeper.restore(new)
    assert loose_ends(new) == []


def test_backup_to_a_full_disk_fails_in_one_line(keeper: Keeper, context: AppContext) -> None:
    """A limit on the size of files stands for a full disk."""
    fill_history(context)
    done = subprocess.run(
        [*OVERREAD, "backup", str(keeper.folder)],
        env=environment(context.settings.data_dir),
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


def test_backup_counts_missing_and_damaged_files_and_names_its_release(
    keeper: Keeper, context: AppContext, tmp_path: Path
) -> None:
    job_id = fill_history(context)
    with context.sessions() as session:
        ready = session.scalars(select(Image).where(Image.state == State.READY)).one()
    assert ready.stored_sha256 is not None
    context.store.path(ready.stored_sha256).write_bytes(b"rot")
    an_image_in(context, job_id, State.RECEIVED, number=50)
    context.store.delete(hashlib.sha256(f"upload {job_id} 50".encode()).hexdigest())
    saved = keeper.backup(fine=False)
    assert "1 file that rows need did not exist" in saved.output
    assert f"warning: stored/{ready.stored_sha256}: damaged; see: overread verify" in saved.output
    keeper.rewrite_manifest(revision="9999")
    said = keeper.restore(Settings(data=tmp_path / "new"), fine=False).output
    assert "its tables are at 9999, and this release knows them up to" in said
