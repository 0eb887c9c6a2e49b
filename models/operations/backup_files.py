"""Copy the files of a service to its folder of backups."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from models.config.settings import Settings
from models.files.damage import Damage
from models.files.seal import open_sealed
from models.files.store import FileStore
from models.operations.backup_folder import FILE_LIST, UNFINISHED, Backups, SavedFile, copy_file
from models.operations.seal_inputs import are_sealed
from pipeline.checksum import sha256_of
from pipeline.errors import DamagedFileError, NetworkFolderError
from pipeline.inference.version_folder import read_checksums

Report = Callable[[str, int, int], None]  # receives the stage, how much is done, and the total


class FileSaver:
    """Copies files, in the order of their paths, unless an earlier backup has saved them.

    A damaged file is never copied. In its place goes what an earlier backup has saved of it, if
    that is intact; else it is left out. Either way it is among `damaged`.
    """

    def __init__(self, settings: Settings, backups: Backups, *, check: bool) -> None:
        self._data_dir, self._backups, self._check = settings.data_dir, backups, check
        self._are_sealed = are_sealed(FileStore(settings.files_dir))
        self.files = self.bytes = self.vanished = self.left_out = self.replaced = 0
        self.damaged: list[Damage] = []
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
            known = self._find(path)
            try:
                saved = self._save(path, known)
            except FileNotFoundError:
                self.vanished += 1
                continue
            except DamagedFileError:
                self.damaged.append(_damage(path))
                if (copy := self._intact_copy(path, known)) is None:
                    self.left_out += 1
                    continue
                saved = copy
            self.files, self.bytes = self.files + 1, self.bytes + saved.size
            yield saved

    def _save(self, path: str, known: SavedFile | None) -> SavedFile:
        """Raises DamagedFileError."""
        source = self._data_dir / path
        now = source.stat()
        as_before = known and (known.size, known.mtime_ns) == (now.st_size, now.st_mtime_ns)
        if known and as_before and not self._check:
            sha256 = known.sha256
        else:
            try:
                sha256 = sha256_of(source)
                self._check_seal(path, source)
            except OSError as error:
                if error.errno == errno.EIO:  # a bad sector, as damaged as a flipped bit
                    raise DamagedFileError from None
                raise
        if self._expected(path) not in (None, sha256):
            raise DamagedFileError
        if not self._is_saved(sha256, now.st_size):
            self._copy(source, sha256)
        return SavedFile(path, sha256, now.st_size, now.st_mtime_ns)

    def _intact_copy(self, path: str, known: SavedFile | None) -> SavedFile | None:
        sha256 = self._expected(path) or (known.sha256 if known else "")
        blob = self._backups.blob(sha256)
        try:
            if sha256_of(blob) != sha256:
                return None
            self._check_seal(path, blob)
        except (OSError, DamagedFileError):
            return None
        return SavedFile(path, sha256, blob.stat().st_size, mtime_ns=0)

    def _expected(self, path: str) -> str | None:
        """The SHA-256 that a file must have, where its name or a list of checksums says so."""
        match path.split("/"):
            case ["files", "incoming" | "stored", _, name]:
                return name
            case ["networks", folder, name]:
                return _checksums(self._data_dir / "networks" / folder).get(name)
        return None

    def _check_seal(self, path: str, file: Path) -> None:
        """Of network inputs. Raises DamagedFileError."""
        match path.split("/"):
            case ["files", "inputs", preprocessing, _, name] if self._are_sealed:
                open_sealed(file.read_bytes(), sha256=name, preprocessing=preprocessing)

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

    def _copy(self, source: Path, sha256: str) -> None:
        temporary = self._backups.root / "files" / f"{UNFINISHED}-{os.getpid()}"
        try:
            # On disk by the sync before the backup's name.
            if copy_file(source, temporary) != sha256:
                raise DamagedFileError
            blob = self._backups.blob(sha256)
            blob.parent.mkdir(exist_ok=True)
            temporary.replace(blob)
        finally:
            temporary.unlink(missing_ok=True)


def _checksums(folder: Path) -> dict[str, str]:
    try:
        return read_checksums(folder)
    except NetworkFolderError:
        return {}


def _damage(path: str) -> Damage:
    match path.split("/"):
        case ["files", "incoming" | "stored" | "inputs" as area, *_, name]:
            return Damage(area, name)  # type: ignore[arg-type]
        case [_, folder, *_]:
            return Damage("networks", folder)
    raise ValueError(path)
