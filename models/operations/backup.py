"""Make a backup of a service while it works, and delete old ones.

hold deletions -> all rows as of one moment -> the files that these rows need -> manifest -> name

What the service writes during that time is not in the backup; what it would delete stays until the
backup is made. Blobs that an earlier backup has saved are not copied again.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.audit.verify import ANCHORS_FILE, copy_anchors
from models.config.secrets import read_secrets
from models.config.settings import Settings
from models.files.deletion_lock import BackupRunningError, hold_deletions
from models.files.references import needed_files
from models.installation import check_secrets
from models.operations.backup_folder import (
    FILE_LIST,
    FORMAT,
    LOOSE_FILES,
    MANIFEST,
    SECRETS_FILE,
    TABLES,
    UNFINISHED,
    BackupDamagedError,
    BackupRefusedError,
    Backups,
    Manifest,
    SavedFile,
    copy_file,
    owner_only,
    write_files,
    write_manifest,
)
from models.operations.dump import DatabaseDump, is_empty, row_count, snapshot_of, write_database
from models.operations.upgrade import record_by_admin
from models.session import open_database
from models.tables.intake import Audit
from pipeline.atomic_file import sync
from pipeline.checksum import sha256_of

NEEDED = "needed.txt"  # while the backup is made: of millions of paths, memory would hold too few
Report = Callable[[str, int, int], None]  # receives the stage, how much is done, and the total


@dataclass(frozen=True)
class Made:
    """replaced: damaged blobs of earlier backups. damaged_lists: of earlier backups."""

    name: str
    manifest: Manifest
    replaced: int
    damaged_lists: Sequence[Path]


@dataclass(frozen=True)
class Pruned:
    """kept_all: why no blob was deleted, where a list cannot be read."""

    backups: int
    blobs: int
    kept_all: str = ""


def make_backup(settings: Settings, root: Path, *, report: Report, check: bool = False) -> Made:
    """check: read the blobs that earlier backups saved, and replace damaged ones.

    Raises BackupRefusedError and SecretsError.
    """
    backups, data_dir = Backups(root.absolute()), settings.data_dir
    if not (data_dir / SECRETS_FILE).exists():
        raise BackupRefusedError(f"{data_dir} holds no service's data: there is nothing to save")
    if backups.root.resolve().is_relative_to(data_dir.resolve()):
        raise BackupRefusedError("a backup inside the data folder would be lost with it")
    try:
        with owner_only(), backups.writing(), hold_deletions(settings.files_dir):
            _discard_unfinished(backups)
            made = _make(settings, backups, check=check, report=report)
    except BackupRunningError:
        raise BackupRefusedError("another backup of this service is running") from None
    with open_database(settings) as sessions, sessions.begin() as session:
        record_by_admin(session, "backup.made", target=made.name)
    return made


def prune(root: Path, *, keep: int) -> Pruned:
    """Delete all but the newest backups, and the blobs that only they had.

    Raises BackupRefusedError.
    """
    backups = Backups(root.absolute())
    with backups.writing():
        old = backups.names()[:-keep]
        for name in old:
            # First under a name that says it is not complete.
            left = (backups.folder / name).rename(backups.folder / f"{name}{UNFINISHED}")
            shutil.rmtree(left)
        if not old:
            return Pruned(0, 0)
        try:
            used = {
                bytes.fromhex(one.sha256) for name in backups.names() for one in backups.files(name)
            }
        except BackupDamagedError as error:  # nobody knows what it names
            return Pruned(len(old), 0, kept_all=str(error))
        blobs = 0
        for path in (backups.root / "files").glob("??/*"):
            # Nothing but blobs, should a folder be linked in from elsewhere.
            if re.fullmatch("[0-9a-f]{64}", path.name) and bytes.fromhex(path.name) not in used:
                path.unlink()
                blobs += 1
        return Pruned(len(old), blobs)


def _discard_unfinished(backups: Backups) -> None:
    for left in backups.folder.glob(f"*{UNFINISHED}"):
        shutil.rmtree(left)
    for left in (backups.root / "files").glob(f"{UNFINISHED}-*"):
        left.unlink()


def _make(settings: Settings, backups: Backups, *, check: bool, report: Report) -> Made:
    made_at = datetime.now(UTC)
    name = made_at.strftime("%Y%m%dT%H%M%SZ")
    if name in backups.names():
        raise BackupRefusedError(f"{backups.folder / name} exists")
    folder = backups.folder / f"{name}{UNFINISHED}"
    folder.mkdir()
    for loose in LOOSE_FILES:
        if loose != ANCHORS_FILE and (settings.data_dir / loose).exists():
            shutil.copyfile(settings.data_dir / loose, folder / loose)
    dump, found, missing = _save_rows(settings, folder, report)
    saver = _Saver(settings.data_dir, backups, check=check)
    with (folder / NEEDED).open(encoding="utf-8") as lines:
        paths = (line.removesuffix("\n") for line in lines)
        write_files(folder / FILE_LIST, saver.save(paths, total=found, report=report))
    (folder / NEEDED).unlink()
    inside = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        format=FORMAT,
        made_at=made_at.isoformat(timespec="seconds"),
        release=version("overread"),
        revision=dump.revision,
        rows=dump.rows,
        last_ids=dump.last_ids,
        files=saver.files,
        bytes=saver.bytes,
        missing=missing + saver.vanished,
        damaged=saver.damaged,
        sha256={path.relative_to(folder).as_posix(): sha256_of(path) for path in inside},
    )
    write_manifest(folder / MANIFEST, manifest)
    os.sync()  # before it has a name that says it is complete
    folder.rename(backups.folder / name)
    sync(backups.folder)
    return Made(name, manifest, saver.replaced, saver.damaged_lists)


def _save_rows(settings: Settings, folder: Path, report: Report) -> tuple[DatabaseDump, int, int]:
    """Returns how many needed files exist, and how many do not.

    Files are copied afterwards: as long as the snapshot is read, what is deleted takes up room.
    """
    done = found = missing = 0
    (folder / TABLES).mkdir()
    with open_database(settings) as sessions:
        if is_empty(sessions.engine):
            raise BackupRefusedError("the database holds no tables: there is nothing to save")
        with snapshot_of(sessions.engine) as connection:
            secrets = read_secrets(settings.data_dir)
            check_secrets(connection, secrets, data_dir=settings.data_dir)
            total = row_count(connection)

            def count(more: int) -> None:
                nonlocal done
                done += more
                report("Saving rows", done, total)

            dump = write_database(connection, folder / TABLES, report=count)
            newest_row = connection.scalar(select(func.max(Audit.id))) or 0
            copy_anchors(settings.data_dir, folder, up_to=newest_row)
            with (folder / NEEDED).open("w", encoding="utf-8") as lines:
                for path in needed_files(Session(bind=connection), settings):
                    if path:
                        lines.write(f"{path.relative_to(settings.data_dir).as_posix()}\n")
                    found += path is not None
                    missing += path is None
    return dump, found, missing


class _Saver:
    """Copies files, in the order of their paths, unless an earlier backup has saved them."""

    def __init__(self, data_dir: Path, backups: Backups, *, check: bool) -> None:
        self._data_dir, self._backups, self._check = data_dir, backups, check
        self.files = self.bytes = self.vanished = self.damaged = self.replaced = 0
        self.damaged_lists: list[Path] = []
        self._earlier: Iterator[SavedFile] = iter(())
        for name in reversed(backups.names()):
            if backups.has_whole_list(name):
                self._earlier = backups.files(name)
                break
            self.damaged_lists.append(backups.folder / name / FILE_LIST)
        self._next = next(self._earlier, None)

    def save(self, paths: Iterator[str], *, total: int, report: Report) -> Iterator[SavedFile]:
        for done, path in enumerate(paths):
            report("Saving files", done, total)
            try:
                saved = self._save(path)
            except FileNotFoundError:
                self.vanished += 1
                continue
            self.files, self.bytes = self.files + 1, self.bytes + saved.size
            area, *_, name = path.removeprefix("files/").split("/")
            self.damaged += area in ("incoming", "stored") and name != saved.sha256
            yield saved

    def _save(self, path: str) -> SavedFile:
        source = self._data_dir / path
        now = source.stat()
        known = None if self._check else self._find(path)
        if known and (known.size, known.mtime_ns) == (now.st_size, now.st_mtime_ns):
            sha256 = known.sha256
        else:
            sha256 = sha256_of(source)
        if not self._is_saved(sha256, now.st_size):
            sha256 = self._copy(source)
        return SavedFile(path, sha256, now.st_size, now.st_mtime_ns)

    def _find(self, path: str) -> SavedFile | None:
        while self._next is not None and self._next.path < path:
            self._next = next(self._earlier, None)
        return self._next if self._next is not None and self._next.path == path else None

    def _is_saved(self, sha256: str, size: int) -> bool:
        blob = self._backups.blob(sha256)
        if not blob.exists():
            return False
        # Of a machine that went down while it was written, there may be less of it.
        is_whole = blob.stat().st_size == size
        if is_whole and self._check:
            is_whole = sha256_of(blob) == sha256
        self.replaced += not is_whole
        return is_whole

    def _copy(self, source: Path) -> str:
        temporary = self._backups.root / "files" / f"{UNFINISHED}-{os.getpid()}"
        try:
            sha256 = copy_file(source, temporary)  # on disk by the sync before the backup's name
            blob = self._backups.blob(sha256)
            blob.parent.mkdir(exist_ok=True)
            temporary.replace(blob)
        finally:
            temporary.unlink(missing_ok=True)
        return sha256
