"""`overread restore`

`overread restore`, put together.

check everything -> files beside their place, each compared with its checksum -> rows, in one
transaction, brought to this release's tables -> files into their place

What fails before that transaction's end leaves nothing; what is cut off after it, the same command
brings to its end, see `cli.admin.restore`.

What a restore has put ready within the data folder, and when it counts.

put everything ready -> note which row of the audit makes it count -> commit that row, with all
others -> move into place -> discard what is left here, the note last

Who is killed before the commit has restored nothing, and the next restore begins anew. Killed after
it, the next one finds that row and moves what is still here. A database elsewhere and the files
here so count together; `models.operations.upgrade` starts no service in between.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from alembic import command
from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.orm import Session

from cli.admin.audit import record_deed
from cli.admin.backup import LOOSE_FILES
from cli.admin.backup_folder import (
    TABLES,
    Backups,
    Manifest,
    SavedFile,
    closed_to_others,
)
from cli.errors import Failed, UsageProblem, in_plain_words
from cli.lockfile import AlreadyRunningError, hold_data_folder
from cli.output import copy_hashed, sha256_of
from cli.params import GivenPath
from cli.progress import progress
from models.audit.log import list_audit
from models.config.secrets import write_private
from models.config.settings import Settings
from models.operations.dump import (
    DatabaseCopy,
    NotLinesError,
    UnknownRevisionError,
    check_revision,
    end_logins,
    hand_back_everything,
    is_empty,
    read_database,
    set_last_ids,
)
from models.operations.upgrade import (
    RESTORING,
    ForeignKeyError,
    alembic_config,
    check_foreign_keys,
    migrating,
)
from models.session import make_engine
from pipeline.atomic_file import sync


@click.command()
@click.argument("folder", type=GivenPath(file_okay=False))
@click.option("--from", "name", metavar="TIME", help="Which backup; default: the newest.")
@click.option(
    "--without-damaged", is_flag=True, help="Leave out files that are damaged or missing."
)
def restore(folder: Path, name: str | None, without_damaged: bool) -> None:
    """Fill a new data folder and an empty database from a backup in FOLDER.

    OVERREAD_DATA and OVERREAD_DATABASE_URL say where to; SQLite and PostgreSQL may be exchanged.
    Nothing is restored unless everything is as it was saved, or damaged files may be left out. Cut
    off, the same command goes on.
    """
    from cli.settings import read_settings

    settings = read_settings()
    done = restore_backup(settings, folder, name=name, without_damaged=without_damaged)
    click.echo(f"Restored {done.name} to {settings.data_dir}: {counts(done.manifest)}")
    if done.left_out:
        click.echo(
            f"warning: {len(done.left_out)} files were damaged or missing and did not come back, "
            f"the first is {done.left_out[0].path}; overread doctor names whose they are",
            err=True,
        )
    click.echo(
        f"Passwords and API tokens are as they were at {done.manifest.made_at}: what was revoked "
        "since is valid again. Everybody logs in anew, and invitations that were not used yet are "
        "void. What was being worked on begins again."
    )


_NOTE = "note.json"
_READY = "ready"


@dataclass(frozen=True)
class Note:
    """backup: its name. digest: of the audit's last row, should the commit have gone through."""

    backup: str
    digest: str


class Staging:
    def __init__(self, data_dir: Path) -> None:
        self._data_dir, self._folder = data_dir, data_dir / RESTORING

    @property
    def ready(self) -> Path:
        """What lies here comes to lie in the data folder."""
        return self._folder / _READY

    def begin(self) -> None:
        self.discard()
        self.ready.mkdir(parents=True)

    def note(self) -> Note | None:
        try:
            return Note(**json.loads((self._folder / _NOTE).read_text(encoding="ascii")))
        except FileNotFoundError:
            return None

    def write_note(self, note: Note) -> None:
        """What is ready is on disk before it, and it before whatever the caller does next."""
        os.sync()
        write_private(self._folder / _NOTE, json.dumps(asdict(note)))
        sync(self._folder)

    def put_in_place(self) -> None:
        """Again and again, should it be cut off."""
        for one in sorted(self.ready.glob("*")):
            one.rename(self._data_dir / one.name)
        sync(self._data_dir)
        self.discard()

    def discard(self) -> None:
        if self._folder.exists():
            shutil.rmtree(self.ready, ignore_errors=True)
            shutil.rmtree(self._folder)


NOTHING = "nothing was restored"
UNSURE = "say the same again, it goes on or begins anew"
_OURS = {RESTORING, "supervisor.lock", "lost+found"}


@dataclass(frozen=True)
class Restored:
    """left_out: files that were damaged or missing."""

    name: str
    manifest: Manifest
    left_out: Sequence[SavedFile]


def restore_backup(
    settings: Settings, root: Path, *, name: str | None, without_damaged: bool = False
) -> Restored:
    """Raises UsageProblem, Failed, Interrupted."""
    backups = Backups(root.absolute())
    staging = Staging(settings.data_dir)
    with _in_plain_words(settings), closed_to_others(), hold_data_folder(settings.data_dir):
        begun = _committed(settings, staging)
        if begun is not None and name not in (None, begun):
            raise UsageProblem(f"{settings.data_dir} is half restored from {begun}: --from {begun}")
        chosen = begun or name or _newest(backups)
        restore = _Restore(settings, backups, chosen, staging)
        if begun is None:
            _check_is_empty(settings.data_dir)
            restore.run(without_damaged=without_damaged)
        staging.put_in_place()
    return Restored(chosen, restore.manifest, restore.left_out)


def counts(manifest: Manifest) -> str:
    rows = manifest.rows
    kinds = (("job", "jobs"), ("image", "images"), ("prediction", "predictions"))
    numbers = [f"{rows.get(table, 0)} {word}" for table, word in kinds]
    further = (("label", "labels"), ("model_version", "model versions"), ("user", "users"))
    numbers += [f"{rows.get(table, 0)} {word}" for table, word in further]
    return f"{', '.join(numbers)}; {manifest.files} files, {manifest.bytes / 2**20:.1f} MiB"


def _newest(backups: Backups) -> str:
    names = backups.names()
    if not names:
        raise UsageProblem(f"{backups.folder}: there is no backup that is whole")
    return names[-1]


def _check_is_empty(data_dir: Path) -> None:
    left = sorted(one.name for one in data_dir.iterdir() if one.name not in _OURS)
    if left:
        raise UsageProblem(f"{data_dir} is not empty ({left[0]} is there): name a new data folder")


def _committed(settings: Settings, staging: Staging) -> str | None:
    """The backup that a restore brought into the database before it was cut off, if one was."""
    note = staging.note()
    if note is None:
        return None
    inside = _inside(settings)
    engine = _engine(settings, staging if inside and (staging.ready / inside).exists() else None)
    try:
        return note.backup if _newest_digest(engine) == note.digest else None
    finally:
        engine.dispose()


def _newest_digest(engine: Engine) -> str | None:
    if is_empty(engine):
        return None
    with Session(engine) as session:
        newest = list_audit(session, limit=1)
    return newest[0].digest if newest else None


def _engine(settings: Settings, staging: Staging | None) -> Engine:
    """staging: where the database lies that is to come to lie in the data folder."""
    inside = _inside(settings)
    if staging is None or inside is None:
        return make_engine(settings)
    path = staging.ready / inside
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_engine(settings.model_copy(update={"database_url": f"sqlite:///{path}"}))


class _Restore:
    def __init__(self, settings: Settings, backups: Backups, name: str, staging: Staging) -> None:
        self._settings, self._backups, self._staging = settings, backups, staging
        self._name, self._folder = name, backups.folder / name
        self.manifest = backups.manifest(name)
        self.left_out: list[SavedFile] = []

    def run(self, *, without_damaged: bool) -> None:
        try:
            self._staging.begin()
            engine = _engine(self._settings, self._staging)
            try:
                self._check(engine)
                self._stage_files(without_damaged=without_damaged)
                self._load(engine)
            finally:
                engine.dispose()  # so that nothing of it is left in its journal
        except BaseException:
            if self._staging.note() is None:  # else only the database knows, see `_committed`
                self._staging.discard()
            raise

    def _check(self, engine: Engine) -> None:
        if not is_empty(engine):
            raise UsageProblem("the database is not empty: name a new one")
        check_revision(self.manifest.revision)
        for inside, sha256 in sorted(self.manifest.sha256.items()):
            path = self._folder / inside
            if not path.exists() or sha256_of(path) != sha256:
                raise Failed(f"{path}: missing or damaged; nothing was restored")

    def _stage_files(self, *, without_damaged: bool) -> None:
        with progress("Restoring files", total=self.manifest.files) as shown:
            for done, file in enumerate(self._backups.files(self._name), start=1):
                if not self._stage(file):
                    self.left_out.append(file)
                shown.show(done)
        if self.left_out and not without_damaged:
            count, first = len(self.left_out), self._backups.content(self.left_out[0].sha256)
            raise Failed(
                f"{count} of {self.manifest.files} files are missing or damaged, the first is "
                f"{first}; --without-damaged restores all others; {NOTHING}"
            )
        for name in LOOSE_FILES:
            if name in self.manifest.sha256:
                _copy(self._folder / name, self._staging.ready / name)

    def _stage(self, file: SavedFile) -> bool:
        target = self._staging.ready / file.path
        try:
            if _copy(self._backups.content(file.sha256), target) == file.sha256:
                return True
        except FileNotFoundError:
            pass
        target.unlink(missing_ok=True)
        return False

    def _load(self, engine: Engine) -> None:
        with _in_plain_words(self._settings, outcome=UNSURE), migrating(engine) as connection:
            with _in_plain_words(self._settings):
                self._read(connection)
                with Session(bind=connection) as session:
                    hand_back_everything(session)
                    end_logins(session)
                    record_deed(session, "backup.restored", target=self._name)
                    (newest,) = list_audit(session, limit=1)
                    note = Note(self._name, newest.digest or "")
                check_foreign_keys(connection)
            self._staging.write_note(note)

    def _read(self, connection: Connection) -> None:
        manifest = self.manifest
        copy = DatabaseCopy(manifest.revision, manifest.rows, manifest.last_ids)
        done: Counter[str] = Counter()
        total = sum(manifest.rows.values())
        with progress("Restoring rows", total=total) as shown:

            def report(more: int) -> None:
                done["rows"] += more
                shown.show(done["rows"])

            command.upgrade(alembic_config(connection), manifest.revision)
            read_database(connection, self._folder / TABLES, copy, report=report)
            if done["rows"] != total:
                raise Failed(f"the backup holds {done['rows']} rows, expected {total}")
            command.upgrade(alembic_config(connection), "head")
            set_last_ids(connection, copy)


def _inside(settings: Settings) -> Path | None:
    """The database's path within the data folder, where it lies there."""
    if not settings.is_sqlite:
        return None
    path = Path(make_url(settings.database).database or "").absolute()
    inside = path.is_relative_to(settings.data_dir)
    return path.relative_to(settings.data_dir) if inside else None


def _copy(source: Path, target: Path) -> str:
    """Returns its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return copy_hashed(source, target)


@contextmanager
def _in_plain_words(settings: Settings, *, outcome: str = NOTHING) -> Iterator[None]:
    try:
        with in_plain_words(settings.data_dir, outcome=outcome):
            yield
    except AlreadyRunningError:
        raise UsageProblem(f"a service is running on {settings.data_dir}: stop it first") from None
    except UnknownRevisionError as error:
        raise Failed(str(error)) from None
    except (NotLinesError, ForeignKeyError) as error:
        raise Failed(f"{error}; {outcome}") from None
