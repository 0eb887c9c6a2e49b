"""Files beside the database, addressed by the SHA-256 of their content.

incoming/  as uploaded, until a worker has read and de-identified them; then deleted
stored/    de-identified, for people to look at
inputs/    network inputs, by the upload's hash and the preprocessing's version, sealed
partial/   uploads sent in parts, see `models.files.partial`

Everything else is written under a temporary name and renamed: a name that exists is complete.
Disks rot, so what is read is compared with its name or its seal.
"""

import hashlib
import logging
import math
import os
import shutil
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, get_args

from models.clock import CLOCKS_DIFFER_BY
from models.files.deletion_lock import deleting
from models.files.presence import require_store
from models.files.seal import open_sealed, seal
from pipeline.atomic_file import FileGroup, file_group, make_folder
from pipeline.checksum import BLOCK, copy_hashed, sha256_of
from pipeline.errors import DamagedFileError
from pipeline.types import EQUIVALENT_PREPROCESSINGS

if TYPE_CHECKING:  # idle workers do without it
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

Area = Literal["incoming", "inputs", "stored"]
AREAS: tuple[Area, ...] = get_args(Area)
BlobArea = Literal["incoming", "stored"]  # named by the hash of their content


@dataclass(frozen=True)
class Stored:
    sha256: str
    size: int  # bytes


class FileStore:
    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def temporary(self) -> Path:
        return self.root / "temporary"

    def make_folder(self, folder: Path) -> Path:
        """One of the store's. Raises StoreAwayError."""
        if not folder.is_dir():
            require_store(self.root)
            make_private_folder(folder)
        return folder

    def put(self, stream: BinaryIO, *, sha256: str = "", group: FileGroup | None = None) -> Stored:
        """Store an upload. sha256: where the caller has computed it already."""
        with self._grouped(group) as files, files.new_file() as new:
            if sha256:
                shutil.copyfileobj(stream, new.file, BLOCK)
            else:
                sha256 = copy_hashed(stream, new.file)
            size, new.target = new.file.tell(), self.path(sha256, area="incoming")
            self.make_folder(new.target.parent)
        return Stored(sha256, size)

    def adopt(self, file: Path, sha256: str, *, group: FileGroup | None = None) -> None:
        """Make a complete file an upload, without a copy. Its old name stays, so that a crash
        before the row is written loses nothing.
        """
        os.utime(file)  # as new as one that was sent as a whole
        target = self.path(sha256, area="incoming")
        self.make_folder(target.parent)
        with self._grouped(group) as files:
            files.link(file, target)

    def group(self) -> AbstractContextManager[FileGroup]:
        """For files that are stored together, and are there and durable when its block ends."""
        return file_group(self.make_folder(self.temporary))

    def put_bytes(
        self,
        content: bytes,
        *,
        area: BlobArea = "stored",
        sha256: str | None = None,
        group: FileGroup | None = None,
    ) -> Stored:
        """sha256: where the caller has computed it already."""
        stored = Stored(sha256 or hashlib.sha256(content).hexdigest(), len(content))
        self._write(self.path(stored.sha256, area=area), content, group)
        return stored

    def path(self, sha256: str, *, area: BlobArea = "stored") -> Path:
        return Path(f"{self.root}/{area}/{sha256[:2]}/{sha256}")

    def checked_path(self, sha256: str, *, area: BlobArea = "stored") -> Path:
        """Of a file whose content was just compared with its name.

        Raises FileNotFoundError, DamagedFileError.
        """
        path = self.path(sha256, area=area)
        if sha256_of(path) != sha256:
            raise DamagedFileError(f"the file {area}/{sha256[:12]} is damaged")
        return path

    def exists(self, sha256: str, *, area: BlobArea = "stored") -> bool:
        return self.path(sha256, area=area).exists()

    def delete(self, *sha256s: str, area: BlobArea = "incoming", before: float = math.inf) -> None:
        """While a backup is made they stay, and the tidy deletes them. before: older ones only."""
        with deleting(self.root) as may_delete:
            for sha256 in sha256s if may_delete else ():
                delete_older(self.path(sha256, area=area), before)

    def put_network_input(
        self,
        sha256: str,
        preprocessing: str,
        network_input: "NDArray[np.uint8]",
        *,
        group: FileGroup | None = None,
    ) -> None:
        """network_input: uint8 (224, 224)."""
        content = seal(network_input.tobytes(), sha256=sha256, preprocessing=preprocessing)
        self._write(self._input_path(sha256, preprocessing), content, group)

    def preprocessings(self) -> list[str]:
        """All by which network inputs were ever made."""
        try:
            return [one.name for one in os.scandir(self.root / "inputs") if one.is_dir()]
        except FileNotFoundError:
            return []

    def has_network_input(self, sha256: str, preprocessing: str) -> bool:
        """Whether there is one of this preprocessing, or of an equivalent one."""
        return self._input_path(sha256, self._made_by(sha256, preprocessing)).exists()

    def renew_network_input(self, sha256: str, preprocessing: str) -> bool:
        """Whether it is there and intact. Renews its age, for a row that is about to be written."""
        try:
            self.network_input(sha256, preprocessing)
        except (OSError, DamagedFileError):  # also a bad sector
            return False
        return _renew(self._input_path(sha256, self._made_by(sha256, preprocessing)))

    def discard_network_input(self, sha256: str, preprocessing: str) -> None:
        """So that it is made again. While a backup is made it stays, and is written over."""
        with deleting(self.root) as may_delete:
            if may_delete:
                made_by = self._made_by(sha256, preprocessing)
                self._input_path(sha256, made_by).unlink(missing_ok=True)

    def network_input(self, sha256: str, preprocessing: str) -> "NDArray[np.uint8]":
        """uint8 (224, 224). Discards a damaged one. Raises FileNotFoundError, DamagedFileError."""
        preprocessing = self._made_by(sha256, preprocessing)
        content = self._input_path(sha256, preprocessing).read_bytes()
        try:
            return open_sealed(content, sha256=sha256, preprocessing=preprocessing)
        except DamagedFileError:
            log.error("a network input is damaged and is discarded: %s", sha256[:12])
            self.discard_network_input(sha256, preprocessing)
            raise

    def folders(self, area: Area) -> list[Path]:
        """In which the files of an area lie, each below the first two digits of its name."""
        if area == "inputs":
            return [self.root / area / one for one in sorted(self.preprocessings())]
        return [self.root / area]

    def paths(self, area: Area, sha256: str) -> list[Path]:
        """Where a file would be; network inputs, of every preprocessing."""
        return [folder / sha256[:2] / sha256 for folder in self.folders(area)]

    def _made_by(self, sha256: str, preprocessing: str) -> str:
        """Return the preprocessing asked for, or an equivalent one if only its input is there."""
        same = EQUIVALENT_PREPROCESSINGS if preprocessing in EQUIVALENT_PREPROCESSINGS else ()
        any_of = (preprocessing, *same)
        # Also one that cannot be read, which is to be found and discarded.
        found = (one for one in any_of if os.path.lexists(self._input_path(sha256, one)))
        return next(found, preprocessing)

    def _input_path(self, sha256: str, preprocessing: str) -> Path:
        return Path(f"{self.root}/inputs/{preprocessing}/{sha256[:2]}/{sha256}")

    def _write(self, target: Path, content: bytes, group: FileGroup | None) -> None:
        """What is there already is kept if it is the same, and written over if it is damaged."""
        if _holds(target, content) and _renew(target):
            return
        self.make_folder(target.parent)
        with self._grouped(group) as files:
            files.write(target, content)

    def _grouped(self, group: FileGroup | None) -> AbstractContextManager[FileGroup]:
        """Without a group what is stored is durable at once."""
        return nullcontext(group) if group else self.group()


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:  # also a bad sector
        return False


def _renew(path: Path) -> bool:
    """A file that exists is complete; `models.files.garbage` keeps young ones."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def is_older(path: Path | str, moment: float) -> bool:
    """moment: seconds since the epoch. False where nothing is there."""
    with suppress(FileNotFoundError):
        modified_at = Path(path).stat().st_mtime
        if modified_at < moment:
            return True
        if modified_at > time.time() + CLOCKS_DIFFER_BY.total_seconds():
            os.utime(path)  # the clock was set back; from now on it grows old
    return False


def delete_older(path: Path, moment: float) -> None:
    if is_older(path, moment):
        path.unlink(missing_ok=True)


def make_private_folder(folder: Path) -> Path:
    """Make it, and the missing ones above it."""
    return make_folder(folder, mode=0o700)
