"""Make a backup of a service while it works, and delete old ones.

hold deletions -> all rows as of one moment -> the files that these rows need -> manifest -> name

What the service writes during that time is not in the backup; what it would delete stays until the
backup is made. Blobs that an earlier backup has saved are not copied again.
"""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.audit.verify import ANCHORS_FILE, copy_anchors
from models.config.secrets import SECRETS_FILE, read_secrets
from models.config.settings import Settings
from models.files.damage import Damage, note_damage
from models.files.deletion_lock import BackupRunningError, hold_deletions
from models.files.references import needed_files
from models.installation import check_secrets
from models.operations.backup_files import FileSaver, Report
from models.operations.backup_folder import (
    FILE_LIST,
    FORMAT,
    LOOSE_FILES,
    MANIFEST,
    TABLES,
    UNFINISHED,
    BackupDamagedError,
    BackupRefusedError,
    Backups,
    Manifest,
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


@dataclass(frozen=True)
class Made:
    """replaced: damaged blobs of earlier backups. damaged_lists: of earlier backups. damaged: files
    of the service, of which those without an intact copy in an earlier backup were left out.
    """

    name: str
    manifest: Manifest
    replaced: int
    damaged_lists: Sequence[Path]
    damaged: Sequence[Damage]


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
        note_damage(session, made.damaged)
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
    name = backups.next_name(made_at)
    folder = backups.folder / f"{name}{UNFINISHED}"
    folder.mkdir()
    for loose in LOOSE_FILES:
        if loose != ANCHORS_FILE and (settings.data_dir / loose).exists():
            shutil.copyfile(settings.data_dir / loose, folder / loose)
    dump, found, missing = _save_rows(settings, folder, report)
    saver = FileSaver(settings, backups, check=check)
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
        damaged=saver.left_out,
        sha256={path.relative_to(folder).as_posix(): sha256_of(path) for path in inside},
    )
    write_manifest(folder / MANIFEST, manifest)
    os.sync()  # before it has a name that says it is complete
    folder.rename(backups.folder / name)
    sync(backups.folder)
    return Made(name, manifest, saver.replaced, saver.damaged_lists, saver.damaged)


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
