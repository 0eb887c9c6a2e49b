"""Restore a backup into a new data folder and an empty database.

check -> mark the folder -> copy files, each compared with its checksum -> rows, in one transaction,
upgraded to this release's tables -> remove the mark

The mark names the backup. While it is there no service starts (`models.operations.upgrade`), and
the folder holds nothing else of value: a restore that failed, or was killed, deletes what it wrote
and starts again. Killed between the commit and the end, it finds that the newest row of the audit
names the backup, and removes the mark.
"""

import os
import shutil
from pathlib import Path

from alembic import command
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from models.audit.log import list_audit
from models.config.secrets import SecretsError, write_private
from models.config.settings import Settings
from models.files.store import FileStore
from models.installation import establish
from models.learning.labels import rebuild_valid_labels
from models.operations.backup_files import Report
from models.operations.backup_folder import (
    LOOSE_FILES,
    TABLES,
    BackupDamagedError,
    BackupRefusedError,
    Backups,
    Manifest,
    copy_file,
    owner_only,
)
from models.operations.dump import (
    check_revision,
    end_logins,
    end_work_in_progress,
    is_empty,
    read_database,
    set_last_ids,
)
from models.operations.upgrade import (
    RESTORING,
    ForeignKeyError,
    alembic_config,
    migrating,
    record_by_admin,
)
from models.session import open_database, sqlite_file
from models.worklist.summaries import summarise_everything

RESTORED = "backup.restored"  # action in the audit
_IGNORED = {RESTORING, "supervisor.lock", "lost+found", "cache"}
_DAMAGED_NAMED = 10


def restore_backup(
    settings: Settings, root: Path, *, name: str | None, report: Report
) -> tuple[str, Manifest]:
    """name: of the backup, else the newest. Returns its name; nothing is restored unless all is.

    The caller holds the data folder. Raises BackupRefusedError and BackupDamagedError.
    """
    backups, data_dir = Backups(root.absolute()), settings.data_dir
    marked = _marked(data_dir)
    if marked is not None and name not in (None, marked):
        raise BackupRefusedError(f"{data_dir} is half restored from {marked}: use --from {marked}")
    names = backups.names()
    chosen = marked or name or (names[-1] if names else "")
    if not chosen:
        raise BackupRefusedError(f"{backups.folder}: no complete backup")
    manifest = backups.manifest(chosen)
    with owner_only(), open_database(settings) as sessions:
        engine = sessions.engine
        if marked is None or not _is_committed(settings, engine, marked):
            _check_target(settings, engine, is_marked=marked is not None)
            _check_backup(backups, chosen, manifest)
            _restore(settings, backups, chosen, manifest, engine, report)
        (data_dir / RESTORING).unlink()
    return chosen, manifest


def _marked(data_dir: Path) -> str | None:
    try:
        return (data_dir / RESTORING).read_text(encoding="ascii")
    except FileNotFoundError:
        return None


def _is_committed(settings: Settings, engine: Engine, name: str) -> bool:
    if not _has_tables(settings, engine):
        return False
    with Session(engine) as session:
        newest = list_audit(session, limit=1)
    return bool(newest) and (newest[0].action, newest[0].target) == (RESTORED, name)


def _check_target(settings: Settings, engine: Engine, *, is_marked: bool) -> None:
    if _has_tables(settings, engine):
        raise BackupRefusedError("the database is not empty: name a new one")
    left = sorted(one.name for one in settings.data_dir.iterdir() if one.name not in _IGNORED)
    if left and not is_marked:
        raise BackupRefusedError(
            f"{settings.data_dir} is not empty ({left[0]} exists): name a new data folder"
        )


def _has_tables(settings: Settings, engine: Engine) -> bool:
    """Without making the file that SQLite would make."""
    file = sqlite_file(settings)
    return (file is None or file.exists()) and not is_empty(engine)


def _check_backup(backups: Backups, name: str, manifest: Manifest) -> None:
    check_revision(manifest.revision)
    for path in backups.damaged_parts(name, manifest):
        raise BackupDamagedError(f"{path}: missing or damaged")


def _restore(
    settings: Settings,
    backups: Backups,
    name: str,
    manifest: Manifest,
    engine: Engine,
    report: Report,
) -> None:
    data_dir, file = settings.data_dir, sqlite_file(settings)
    _discard(settings, engine)
    write_private(data_dir / RESTORING, name)
    try:
        _copy_files(data_dir, backups, name, manifest, report)
        # Also where no file is needed, the store is there.
        FileStore(settings.files_dir).temporary.mkdir(parents=True, exist_ok=True)
        os.sync()
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        with migrating(engine) as connection:
            _load(connection, backups.folder / name, manifest, report)
            with Session(bind=connection) as session:
                establish(session, settings)
                summarise_everything(session)
                rebuild_valid_labels(session)
                end_work_in_progress(session)
                end_logins(session)
                record_by_admin(session, RESTORED, target=name)
    except BaseException as error:
        if not _may_be_committed(settings, engine):
            _discard(settings, engine)
            (data_dir / RESTORING).unlink()
        if isinstance(error, ForeignKeyError | SecretsError):
            raise BackupDamagedError(str(error)) from None
        raise


def _copy_files(
    data_dir: Path, backups: Backups, name: str, manifest: Manifest, report: Report
) -> None:
    damaged = []
    for done, file in enumerate(backups.files(name), start=1):
        if file.was_damaged:
            continue
        blob = backups.blob(file.sha256)
        if not blob.exists() or copy_file(blob, data_dir / file.path) != file.sha256:
            damaged.append(str(blob))
        report("Restoring files", done, manifest.files)
    if damaged:
        named = ", ".join(damaged[:_DAMAGED_NAMED])
        more = f" and {len(damaged) - _DAMAGED_NAMED} more" if damaged[_DAMAGED_NAMED:] else ""
        raise BackupDamagedError(
            f"{len(damaged)} of {manifest.files} files are missing or damaged: {named}{more}"
        )
    for loose in LOOSE_FILES:
        if loose in manifest.sha256:
            copy_file(backups.folder / name / loose, data_dir / loose)


def _load(connection: Connection, folder: Path, manifest: Manifest, report: Report) -> None:
    total, done = sum(manifest.rows.values()), 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        report("Restoring rows", done, total)

    command.upgrade(alembic_config(connection), manifest.revision)
    read_database(connection, folder / TABLES, manifest.rows, report=count)
    command.upgrade(alembic_config(connection), "head")
    set_last_ids(connection, manifest.last_ids)


def _may_be_committed(settings: Settings, engine: Engine) -> bool:
    """Also where the database does not answer."""
    try:
        return _has_tables(settings, engine)
    except Exception:
        return True


def _discard(settings: Settings, engine: Engine) -> None:
    """What an earlier or failed restore has written; the database has no tables."""
    engine.dispose()
    for folder in ("files", "networks"):
        shutil.rmtree(settings.data_dir / folder, ignore_errors=True)
    left = [settings.data_dir / name for name in LOOSE_FILES]
    if file := sqlite_file(settings):
        left += [file.with_name(f"{file.name}{end}") for end in ("", "-wal", "-shm")]
    for path in left:
        path.unlink(missing_ok=True)
