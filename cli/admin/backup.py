"""`overread backup`

`overread backup`, put together.

hold deletions -> all rows as of one moment -> the files that these rows need -> manifest -> name

The service works on. What it writes meanwhile is not in the backup; what it would delete stays
until the backup is made. Contents that an earlier backup has saved are not copied again.

Contents go into a folder of backups, each once; one file after the other, in order.

Old backups go, and contents that no backup names any more.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
from sqlalchemy.orm import Session

from cli.admin.audit import record_deed
from cli.admin.backup_folder import (
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
from cli.errors import Failed, UsageProblem, in_plain_words
from cli.output import copy_hashed, sha256_of
from cli.params import GivenPath
from cli.progress import progress
from models.audit.verify import ANCHORS_FILE
from models.config.settings import Settings
from models.files.deletion_lock import BackupRunningError, hold_deletions
from models.files.references import NeededFile, needed_files
from models.operations.dump import (
    DatabaseCopy,
    UnknownRevisionError,
    is_empty,
    reading_one_moment,
    row_count,
    write_database,
)
from models.session import make_engine, make_session_factory
from pipeline.atomic_file import sync


@click.command()
@click.argument("folder", type=GivenPath(file_okay=False))
@click.option("--keep", type=click.IntRange(min=1), help="Then delete all but the newest so many.")
@click.option("--check", is_flag=True, help="Read what is saved already; replace what is damaged.")
def backup(folder: Path, keep: int | None, check: bool) -> None:
    """Save database, files, secrets and model versions to FOLDER, while the service works on.

    Files that an earlier backup in FOLDER has saved are not copied again. FOLDER holds patients'
    images and the service's secrets: keep it as closed as the data folder.
    """
    from cli.admin.restore import counts
    from cli.settings import read_settings

    made = make_backup(read_settings(), folder, check=check)
    click.echo(f"Saved as {folder / 'backups' / made.name}: {counts(made.manifest)}")
    for number, what in (
        (made.manifest.missing, "files that rows need were not there; overread doctor names them"),
        (made.manifest.damaged, "files are not what their names say; they were saved as they are"),
        (made.mended, "saved files were damaged, and were saved anew"),
    ):
        if number:
            click.echo(f"warning: {number} {what}", err=True)
    for path in made.damaged_lists:
        click.echo(f"warning: {path}: damaged; that backup cannot be restored", err=True)
    if keep is not None:
        click.echo(prune(folder, keep=keep))


class EarlierList:
    """What the newest backup whose list is as it was written says of files, asked for in order."""

    def __init__(self, backups: Backups) -> None:
        self.damaged: list[Path] = []
        self._files = self._open(backups)
        self._next = next(self._files, None)

    def find(self, path: str) -> SavedFile | None:
        while self._next is not None and self._next.path < path:
            self._next = next(self._files, None)
        return self._next if self._next is not None and self._next.path == path else None

    def _open(self, backups: Backups) -> Iterator[SavedFile]:
        for name in reversed(backups.names()):
            path = backups.folder / name / FILE_LIST
            try:
                if sha256_of(path) == backups.manifest(name).sha256.get(FILE_LIST):
                    return backups.files(name)
            except (Failed, UsageProblem, OSError):
                pass  # said below, and no reason to save nothing today
            self.damaged.append(path)
        return iter(())


class Saver:
    """check: what was saved before is read once more, and written anew where it is damaged."""

    def __init__(
        self, data_dir: Path, backups: Backups, earlier: EarlierList, *, check: bool
    ) -> None:
        self._data_dir, self._backups, self._earlier = data_dir, backups, earlier
        self._check = check
        self.files = self.bytes = self.vanished = self.damaged = self.mended = 0

    def save(self, paths: Iterable[str]) -> Iterator[SavedFile]:
        for path in paths:
            try:
                saved = self._save(path)
            except FileNotFoundError:
                self.vanished += 1
                continue
            self.files, self.bytes = self.files + 1, self.bytes + saved.size
            self.damaged += _is_damaged(path, saved.sha256)
            yield saved

    def _save(self, path: str) -> SavedFile:
        source = self._data_dir / path
        now = source.stat()
        known = None if self._check else self._earlier.find(path)
        if known and (known.size, known.mtime_ns) == (now.st_size, now.st_mtime_ns):
            sha256 = known.sha256
        else:
            sha256 = sha256_of(source)
        if not self._is_saved(sha256, now.st_size):
            sha256 = self._copy(source)
        return SavedFile(path, sha256, now.st_size, now.st_mtime_ns)

    def _is_saved(self, sha256: str, size: int) -> bool:
        # Of a machine that went down while it was written, there may be less of it.
        target = self._backups.content(sha256)
        if not target.exists():
            return False
        is_whole = target.stat().st_size == size
        if is_whole and self._check:
            is_whole = sha256_of(target) == sha256
        self.mended += not is_whole
        return is_whole

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
    sync(backups.folder)
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


def _list_needed(files: Iterable[NeededFile], path: Path) -> _Count:
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


def prune(root: Path, *, keep: int) -> str:
    """Returns one line that says what went."""
    backups = Backups(root.absolute())
    with in_plain_words(root, outcome="not all that is old was deleted"), writing(backups):
        old = backups.names()[:-keep]
        for name in old:
            # Under a name that says it is not whole, before anything of it is missing.
            left = (backups.folder / name).rename(backups.folder / f"{name}{UNFINISHED}")
            shutil.rmtree(left)
        try:
            named = _named(backups) if old else set()
        except Failed as error:
            return f"Deleted {len(old)} older backups, and no files: {error.format_message()}"
        files = _discard_unnamed(backups, named) if old else 0
    return f"Deleted {len(old)} older backups and {files} files that no other names"


def _named(backups: Backups) -> set[bytes]:
    """Contents of all backups. Raises Failed where a list is damaged: nobody knows what it names"""
    return {bytes.fromhex(one.sha256) for name in backups.names() for one in backups.files(name)}


def _discard_unnamed(backups: Backups, named: set[bytes]) -> int:
    discarded = 0
    for path in (backups.root / "files").glob("??/*"):
        # Nothing but contents, should a folder be linked in from elsewhere.
        if re.fullmatch("[0-9a-f]{64}", path.name) and bytes.fromhex(path.name) not in named:
            path.unlink()
            discarded += 1
    return discarded
