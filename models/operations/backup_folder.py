"""A folder of backups: what lies where, and how it is read again. Its format is a promise.

files/ab/abcd...     blobs by their SHA-256, once for all backups
backups/<time>/      one backup: tables/, secrets.json, files.jsonl.gz, manifest.json; the names are
                     in the order in which they were made, whatever the clock said
lock                 held while a backup is written or deleted

files.jsonl.gz says which blob belongs where in the data folder. manifest.json holds counts and the
checksums of all the rest, and its own. It is written last, and then the folder is renamed, so a
backup with a name is complete.
"""

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from models.audit.verify import ANCHORS_FILE
from models.config.secrets import SECRETS_FILE
from models.file_lock import LockedError, file_lock
from models.files.store import AREAS
from pipeline.checksum import copy_hashed, sha256_of

FORMAT = 1
MANIFEST = "manifest.json"
FILE_LIST = "files.jsonl.gz"
TABLES = "tables"
UNFINISHED = ".unfinished"
# In the data folder.
LOOSE_FILES = (SECRETS_FILE, ANCHORS_FILE)
_NAME = re.compile(r"\d{8}T\d{6}Z")
_TIME = "%Y%m%dT%H%M%SZ"


class BackupRefusedError(Exception):
    """One sentence: what was asked for cannot be done as asked."""


class BackupDamagedError(Exception):
    """One sentence that names the damaged file."""


@dataclass(frozen=True)
class SavedFile:
    """path: within the data folder. mtime_ns: as it was there, to recognise it unread."""

    path: str
    sha256: str
    size: int
    mtime_ns: int

    @property
    def was_damaged(self) -> bool:
        """Older releases saved damaged files as they were."""
        area, *_, name = self.path.removeprefix("files/").split("/")
        return area in ("incoming", "stored") and name != self.sha256


@dataclass(frozen=True)
class Manifest:
    """rows: by table, in the order in which they can be read again. sha256: by file.

    missing: files that rows needed and that did not exist. damaged: files that were damaged, and
    are left out. seal: the checksum of all the rest, see `sealed`.
    """

    format: int
    made_at: str
    release: str
    revision: str
    rows: Mapping[str, int]
    last_ids: Mapping[str, int]
    files: int
    bytes: int
    missing: int
    damaged: int
    sha256: Mapping[str, str]
    seal: str = ""

    def sealed(self) -> "Manifest":
        """A flipped bit in a count or an id would restore something else."""
        content = json.dumps(asdict(self) | {"seal": ""}, sort_keys=True)
        return replace(self, seal=hashlib.sha256(content.encode()).hexdigest())


@dataclass(frozen=True)
class Backups:
    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "backups"

    def names(self) -> list[str]:
        """Of complete backups, oldest first."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(one.name for one in found if _NAME.fullmatch(one.name))

    def next_name(self, made_at: datetime) -> str:
        """Of its time; later than the newest one, also if the clock was set back since."""
        moment = made_at.astimezone(UTC).replace(microsecond=0)
        for newest in self.names()[-1:]:
            before = datetime.strptime(newest, _TIME).replace(tzinfo=UTC)
            moment = max(moment, before + timedelta(seconds=1))
        return moment.strftime(_TIME)

    def blob(self, sha256: str) -> Path:
        return self.root / "files" / sha256[:2] / sha256

    def manifest(self, name: str) -> Manifest:
        """Raises BackupRefusedError and BackupDamagedError."""
        path = self.folder / name / MANIFEST
        try:
            content = json.loads(path.read_text())
            if content["format"] != FORMAT:
                raise BackupRefusedError(
                    f"{path}: format {content['format']}; this release reads {FORMAT}"
                )
            manifest = Manifest(**content)
            if manifest != manifest.sealed():
                raise ValueError("wrong seal")
            return manifest
        except (FileNotFoundError, NotADirectoryError):
            raise BackupRefusedError(f"{path}: no such backup") from None
        except (ValueError, TypeError, KeyError):
            raise BackupDamagedError(f"{path}: damaged") from None

    def files(self, name: str) -> Iterator[SavedFile]:
        """In the order of their paths. Raises BackupDamagedError."""
        path = self.folder / name / FILE_LIST
        try:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    yield _checked(SavedFile(*json.loads(line)))
        except (ValueError, TypeError, IndexError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BackupDamagedError(f"{path}: damaged ({error})") from None

    def damaged_parts(self, name: str, manifest: Manifest) -> Iterator[Path]:
        """Files of the backup itself that are missing or not as the manifest says."""
        for inside, sha256 in sorted(manifest.sha256.items()):
            path = self.folder / name / inside
            if not path.exists() or sha256_of(path) != sha256:
                yield path

    def has_whole_list(self, name: str) -> bool:
        try:
            listed = self.manifest(name).sha256.get(FILE_LIST)
            return sha256_of(self.folder / name / FILE_LIST) == listed
        except (BackupRefusedError, BackupDamagedError, OSError):
            return False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raises BackupRefusedError where another process writes there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock(self.root / "lock"))
            except LockedError:
                why = f"{self.root}: another backup is being written there"
                raise BackupRefusedError(why) from None
            yield


def write_files(path: Path, files: Iterable[SavedFile]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(list(vars(one).values())) + "\n" for one in files)


def write_manifest(path: Path, manifest: Manifest) -> None:
    path.write_text(json.dumps(asdict(manifest.sealed()), indent=1) + "\n")


@contextmanager
def owner_only() -> Iterator[None]:
    """What is written inside the `with` block is readable by its owner only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def copy_file(source: Path, target: Path) -> str:
    """Returns the SHA-256 of what was written; folders on the way are made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reading, target.open("wb") as writing:
        return copy_hashed(reading, writing)


def _checked(file: SavedFile) -> SavedFile:
    """A list that was tampered with must not write elsewhere, nor over the database."""
    parts = PurePosixPath(file.path).parts
    is_ours = parts[:1] == ("networks",) or (parts[:1] == ("files",) and parts[1] in AREAS)
    # "a//b" and "./a" name the same file twice; our names are ASCII.
    is_plain = file.path.isascii() and file.path.isprintable() and "/".join(parts) == file.path
    if not is_ours or not is_plain or ".." in parts:
        raise ValueError("a path leads elsewhere")
    if not re.fullmatch("[0-9a-f]{64}", file.sha256):
        raise ValueError("a checksum is not one")
    return file
