"""A folder of backups: what lies where, and how it is read again.

files/ab/abcd...     contents by their SHA-256, once for all backups
backups/<time>/      one backup each: tables/, secrets.json, token, files.jsonl.gz, manifest.json
lock                 held by whoever writes here

files.jsonl.gz says which content belongs where in the data folder; manifest.json holds counts and
checksums of all the rest, and its own. It is written last and the folder then named, so a backup is
whole.
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
from pathlib import Path, PurePosixPath

from cli.errors import Failed, UsageProblem
from models.file_lock import LockedError, file_lock

FORMAT = 1
MANIFEST = "manifest.json"
FILE_LIST = "files.jsonl.gz"
TABLES = "tables"
UNFINISHED = ".unfinished"
AREAS = ("incoming", "inputs", "stored")  # of the data folder's files/
_NAME = re.compile(r"\d{8}T\d{6}Z")


@dataclass(frozen=True)
class SavedFile:
    """path: within the data folder. mtime_ns: as it was there, to know it again unread."""

    path: str
    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Manifest:
    """rows: by table, in the order in which they can be read again. sha256: by file.

    missing: files that rows needed and that were not there. damaged: files whose content was not
    what their name said; they were saved as they were. seal: of all the rest, see `sealed`.
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
        """A digit that rots in a count or an id would restore something else."""
        content = json.dumps(asdict(self) | {"seal": ""}, sort_keys=True)
        return replace(self, seal=hashlib.sha256(content.encode()).hexdigest())


@dataclass(frozen=True)
class Backups:
    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "backups"

    def names(self) -> list[str]:
        """Of those that are whole, oldest first."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(one.name for one in found if _NAME.fullmatch(one.name))

    def content(self, sha256: str) -> Path:
        return self.root / "files" / sha256[:2] / sha256

    def manifest(self, name: str) -> Manifest:
        path = self.folder / name / MANIFEST
        try:
            known = json.loads(path.read_text())
            if known["format"] != FORMAT:
                raise Failed(f"{path}: format {known['format']}; this release reads {FORMAT}")
            manifest = Manifest(**known)
            if manifest != manifest.sealed():
                raise ValueError("its seal is not its own")
            return manifest
        except (FileNotFoundError, NotADirectoryError):
            raise UsageProblem(f"{path}: there is no such backup") from None
        except (ValueError, TypeError, KeyError):
            raise Failed(f"{path}: damaged") from None

    def files(self, name: str) -> Iterator[SavedFile]:
        path = self.folder / name / FILE_LIST
        try:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    yield _checked(SavedFile(*json.loads(line)))
        except (ValueError, TypeError, IndexError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Failed(f"{path}: damaged ({error})") from None


@contextmanager
def writing(backups: Backups) -> Iterator[None]:
    """One at a time. Raises UsageProblem where another is at it."""
    backups.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(backups.root / "lock"))
        except LockedError:
            raise UsageProblem(f"{backups.root}: another backup is being written there") from None
        yield


def write_files(path: Path, files: Iterable[SavedFile]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(list(vars(one).values())) + "\n" for one in files)


def write_manifest(path: Path, manifest: Manifest) -> None:
    path.write_text(json.dumps(asdict(manifest.sealed()), indent=1) + "\n")


@contextmanager
def closed_to_others() -> Iterator[None]:
    """What is written inside is readable by its owner only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _checked(file: SavedFile) -> SavedFile:
    """A list that was tampered with must not write elsewhere, nor over the database."""
    parts = PurePosixPath(file.path).parts
    is_ours = parts[:1] == ("networks",) or (parts[:1] == ("files",) and parts[1] in AREAS)
    # "a//b" and "./a" name the same file twice; other languages' letters are none of our names.
    is_plain = file.path.isascii() and file.path.isprintable() and "/".join(parts) == file.path
    if not is_ours or not is_plain or ".." in parts:
        raise ValueError("a file's place is not one")
    if not re.fullmatch("[0-9a-f]{64}", file.sha256):
        raise ValueError("a file's checksum is not one")
    return file
