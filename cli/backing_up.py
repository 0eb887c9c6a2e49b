"""`overread backup`, put together.

hold deletions -> all rows as of one moment -> the files that these rows need -> manifest -> name

The service works on. What it writes meanwhile is not in the backup; what it would delete stays
until the backup is made. Contents that an earlier backup has saved are not copied again.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
    closed_to_others,
    write_files,
    write_manifest,
    writing,
)
from cli.deeds import record_deed
from cli.fatal import UsageProblem
from cli.files import sha256_of
from cli.plain_words import in_plain_words
from cli.progress import progress
from cli.saving_files import EarlierList, Saver
from models.audit.verify import ANCHORS_FILE
from models.config.settings import Settings
from models.files.deletion_lock import BackupRunningError, hold_deletions
from models.files.references import Needed, needed_files
from models.files.store import sync_folder
from models.operations.dump import (
    DatabaseCopy,
    UnknownRevisionError,
    is_empty,
    reading_one_moment,
    row_count,
    write_database,
)
from models.session import make_engine, make_session_factory

SECRETS_FILE = "secrets.json"
NEEDED = "needed.txt"  # while the backup is made
# Of the data folder. Anchors may be older than the rows they speak of, never newer.
LOOSE_FILES = (SECRETS_FILE, "token", ANCHORS_FILE)


@dataclass(frozen=True)
class Made:
    """mended: contents of earlier backups that were damaged. damaged_lists: of earlier backups."""

    name: str
    manifest: Manifest
    mended: int
    damaged_lists: Sequence[Path]


def make_backup(settings: Settings, root: Path, *, check: bool = False) -> Made:
    """check: see `Saver`. Raises UsageProblem, Failed, Interrupted."""
    backups = Backups(root.absolute())
    with _in_plain_words(root), closed_to_others():
        _check(settings, backups)
        with writing(backups), hold_deletions(settings.files_dir):
            _discard_unfinished(backups)
            made = _make(settings, backups, check=check)
    _note(settings, made.name)
    return made


def _check(settings: Settings, backups: Backups) -> None:
    if not (settings.data_dir / SECRETS_FILE).exists():
        raise UsageProblem(f"{settings.data_dir} holds no service's data: there is nothing to save")
    if backups.root.resolve().is_relative_to(settings.data_dir.resolve()):
        raise UsageProblem("a backup inside the data folder would be lost with it")


def _make(settings: Settings, backups: Backups, *, check: bool) -> Made:
    made_at = datetime.now(UTC)
    name = made_at.strftime("%Y%m%dT%H%M%SZ")
    if name in backups.names():
        raise UsageProblem(f"{backups.folder / name} is there already")
    unfinished = backups.folder / f"{name}{UNFINISHED}"
    unfinished.mkdir()
    earlier = EarlierList(backups)
    saver = Saver(settings.data_dir, backups, earlier, check=check)
    manifest = _fill(settings, saver, unfinished, made_at=made_at)
    os.sync()  # before it has a name that says it is whole
    unfinished.rename(backups.folder / name)
    sync_folder(backups.folder)
    return Made(name, manifest, saver.mended, earlier.damaged)


def _fill(settings: Settings, saver: Saver, folder: Path, *, made_at: datetime) -> Manifest:
    for name in LOOSE_FILES:
        if (settings.data_dir / name).exists():
            shutil.copyfile(settings.data_dir / name, folder / name)
    (folder / TABLES).mkdir()
    needed = folder / NEEDED
    copy, count = _read_database(settings, folder / TABLES, needed)
    with needed.open(encoding="utf-8") as lines:
        paths = (line.removesuffix("\n") for line in lines)
        write_files(folder / FILE_LIST, saver.save(_shown(paths, total=count.there)))
    needed.unlink()
    inside = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        format=FORMAT,
        made_at=made_at.isoformat(timespec="seconds"),
        release=version("overread"),
        revision=copy.revision,
        rows=copy.rows,
        last_ids=copy.last_ids,
        files=saver.files,
        bytes=saver.bytes,
        missing=count.missing + saver.vanished,
        damaged=saver.damaged,
        sha256={path.relative_to(folder).as_posix(): sha256_of(path) for path in inside},
    )
    write_manifest(folder / MANIFEST, manifest)
    return manifest


@dataclass
class _Count:
    there: int = 0
    missing: int = 0


def _read_database(settings: Settings, tables: Path, needed: Path) -> tuple[DatabaseCopy, _Count]:
    """Quickly, and files afterwards: as long as it is read, what is deleted takes room in it."""
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

                copy = write_database(connection, tables, report=report)
            return copy, _list_needed(needed_files(Session(bind=connection), settings), needed)
    finally:
        engine.dispose()


def _list_needed(files: Iterable[Needed], path: Path) -> _Count:
    """Those that are there, a line each: of millions, memory would hold too few."""
    count = _Count()
    with path.open("w", encoding="utf-8") as lines:
        for file in files:
            if file.is_there:
                lines.write(file.path + "\n")
            count.there += file.is_there
            count.missing += not file.is_there
    return count


def _shown(paths: Iterable[str], *, total: int) -> Iterator[str]:
    with progress("Saving files", total=total) as shown:
        for done, path in enumerate(paths):
            shown.show(done)
            yield path


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
