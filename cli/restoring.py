"""`overread restore`, put together.

check everything -> files beside their place, each compared with its checksum -> rows, in one
transaction, brought to this release's tables -> files into their place

What fails before that transaction's end leaves nothing; what is cut off after it, the same command
brings to its end, see `cli.restore_staging`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.orm import Session

from cli.backing_up import LOOSE_FILES
from cli.backup_folder import (
    TABLES,
    Backups,
    Manifest,
    SavedFile,
    closed_to_others,
)
from cli.deeds import record_deed
from cli.fatal import Failed, UsageProblem
from cli.files import copy_hashed, sha256_of
from cli.plain_words import in_plain_words
from cli.progress import progress
from cli.restore_staging import Note, Staging
from cli.service_file import AlreadyRunningError, hold_data_folder
from models.audit.log import list_audit
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
