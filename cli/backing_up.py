"""`overread backup`, put together.

hold deletions -> all rows as of one moment -> the files that these rows need -> manifest -> name

The service works on. What it writes meanwhile is not in the backup; what it would delete stays
until the backup is made. Contents that an earlier backup has saved are not copied again.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy.orm import Session

from cli.backup_folder import (
    FILE_LIST,
    FORMAT,
    MANIFEST,
    TABLES,
    UNFINISHED,
    Backups,
    Manifest,
    SavedFile,
    closed_to_others,
    write_files,
    write_manifest,
    writing,
)
from cli.deeds import record_deed
from cli.fatal import UsageProblem
from cli.files import copy_hashed, sha256_of
from cli.plain_words import in_plain_words
from cli.progress import progress
from models.audit_check import ANCHORS_FILE
from models.database_copy import (
    DatabaseCopy,
    UnknownRevisionError,
    is_empty,
    reading_one_moment,
    row_count,
    write_database,
)
from models.deletions import BackupRunningError, hold_deletions
from models.needed_files import NeededFiles, needed_files
from models.session import make_engine, make_session_factory
from models.settings import Settings

SECRETS_FILE = "secrets.json"
# Of the data folder. Anchors may be older than the rows they speak of, never newer.
LOOSE_FILES = (SECRETS_FILE, "token", ANCHORS_FILE)


def make_backup(settings: Settings, root: Path) -> tuple[str, Manifest]:
    """Returns its name. Raises UsageProblem, Failed, Interrupted."""
    backups = Backups(root.absolute())
    with _in_plain_words(root), closed_to_others():
        _check(settings, backups)
        with writing(backups), hold_deletions(settings.files_dir):
            _discard_unfinished(backups)
            name, manifest = _make(settings, backups)
    _note(settings, name)
    return name, manifest


def _check(settings: Settings, backups: Backups) -> None:
    if not (settings.data_dir / SECRETS_FILE).exists():
        raise UsageProblem(f"{settings.data_dir} holds no service's data: there is nothing to save")
    if backups.root.resolve().is_relative_to(settings.data_dir.resolve()):
        raise UsageProblem("a backup inside the data folder would be lost with it")


def _make(settings: Settings, backups: Backups) -> tuple[str, Manifest]:
    made_at = datetime.now(UTC)
    name = made_at.strftime("%Y%m%dT%H%M%SZ")
    if name in backups.names():
        raise UsageProblem(f"{backups.folder / name} is there already")
    unfinished = backups.folder / f"{name}{UNFINISHED}"
    unfinished.mkdir()
    manifest = _fill(settings, backups, unfinished, made_at=made_at)
    os.sync()  # before it has a name that says it is whole
    unfinished.rename(backups.folder / name)
    return name, manifest


def _fill(settings: Settings, backups: Backups, folder: Path, *, made_at: datetime) -> Manifest:
    for name in LOOSE_FILES:
        if (settings.data_dir / name).exists():
            shutil.copyfile(settings.data_dir / name, folder / name)
    tables = folder / TABLES
    tables.mkdir()
    copy, needed = _read_database(settings, tables)
    earlier = _earlier_files(backups)
    saver = _Saver(settings.data_dir, backups, earlier)
    files = saver.save(needed.found)
    write_files(folder / FILE_LIST, files)
    inside = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        format=FORMAT,
        made_at=made_at.isoformat(timespec="seconds"),
        release=version("overread"),
        revision=copy.revision,
        rows=copy.rows,
        last_ids=copy.last_ids,
        files=len(files),
        bytes=sum(one.size for one in files),
        missing=needed.missing + saver.vanished,
        damaged=saver.damaged,
        sha256={path.relative_to(folder).as_posix(): sha256_of(path) for path in inside},
    )
    write_manifest(folder / MANIFEST, manifest)
    return manifest


def _read_database(settings: Settings, folder: Path) -> tuple[DatabaseCopy, NeededFiles]:
    engine = make_engine(settings)
    try:
        if is_empty(engine):
            raise UsageProblem("the database holds no tables: there is nothing to save")
        with reading_one_moment(engine) as connection:
            total, done = row_count(connection), 0
            with progress("Saving rows", total=total) as shown:

                def report(more: int) -> None:
                    nonlocal done
                    done += more
                    shown.show(done)

                copy = write_database(connection, folder, report=report)
            return copy, needed_files(Session(bind=connection), settings)
    finally:
        engine.dispose()


class _Saver:
    def __init__(self, data_dir: Path, backups: Backups, earlier: dict[str, SavedFile]) -> None:
        self._data_dir, self._backups, self._earlier = data_dir, backups, earlier
        self.vanished = self.damaged = 0

    def save(self, paths: Sequence[str]) -> list[SavedFile]:
        saved = []
        with progress("Saving files", total=len(paths)) as shown:
            for done, path in enumerate(paths, start=1):
                try:
                    saved.append(self._save(path))
                except FileNotFoundError:
                    self.vanished += 1
                shown.show(done)
        return saved

    def _save(self, path: str) -> SavedFile:
        source = self._data_dir / path
        now = source.stat()
        known = self._earlier.get(path)
        if known and (known.size, known.mtime_ns) == (now.st_size, now.st_mtime_ns):
            sha256 = known.sha256
        else:
            sha256 = sha256_of(source)
        if not self._is_saved(sha256, now.st_size):
            sha256 = self._copy(source)
        self.damaged += _is_damaged(path, sha256)
        return SavedFile(path, sha256, now.st_size, now.st_mtime_ns)

    def _is_saved(self, sha256: str, size: int) -> bool:
        # Of a machine that went down while it was written, there may be less of it.
        target = self._backups.content(sha256)
        return target.exists() and target.stat().st_size == size

    def _copy(self, source: Path) -> str:
        temporary = self._backups.root / "files" / f"{UNFINISHED}-{os.getpid()}"
        temporary.parent.mkdir(exist_ok=True)
        try:
            sha256 = copy_hashed(source, temporary)
            target = self._backups.content(sha256)
            target.parent.mkdir(exist_ok=True)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return sha256


def _is_damaged(path: str, sha256: str) -> bool:
    """Where the name is the content's hash, and is not."""
    parts = path.split("/")
    return parts[:2] in (["files", "incoming"], ["files", "stored"]) and parts[-1] != sha256


def _earlier_files(backups: Backups) -> dict[str, SavedFile]:
    names = backups.names()
    return {one.path: one for one in backups.files(names[-1])} if names else {}


def _discard_unfinished(backups: Backups) -> None:
    for left in backups.folder.glob(f"*{UNFINISHED}"):
        shutil.rmtree(left)
    for left in (backups.root / "files").glob(f"{UNFINISHED}-*"):
        left.unlink()


def _note(settings: Settings, name: str) -> None:
    engine = make_engine(settings)
    try:
        with make_session_factory(engine).begin() as session:
            record_deed(session, "backup.made", target=name)
    finally:
        engine.dispose()


@contextmanager
def _in_plain_words(root: Path) -> Iterator[None]:
    try:
        with in_plain_words(root, outcome="nothing was saved, the same command goes on"):
            yield
    except BackupRunningError:
        raise UsageProblem("another backup of this service is being made") from None
    except UnknownRevisionError as error:
        raise UsageProblem(str(error)) from None
