"""Pictures drawn from stored files for people: `pictures/` of the file store.

They can be drawn again, so they are in no backup, the longest unused are deleted where they take
too much room, and a damaged one is discarded when it is read: each file begins with the SHA-256 of
its name and content. Names begin with the hash of the stored file, and none outlives that file.
"""

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from models.files.store import FileStore
from pipeline.atomic_file import temporary_file

log = logging.getLogger(__name__)

DRAWING = "2"  # raise when drawings change
ALWAYS_KEPT_BYTES = 64 * 2**20  # whatever the reserve: a page shows several
SHA256_LENGTH = 64  # of the hexadecimal digits


@dataclass(frozen=True)
class OpenPicture:
    """The rest of the file is a PNG of `size` bytes."""

    file: BinaryIO
    size: int


class Pictures:
    def __init__(self, store: FileStore, *, max_bytes: int, reserve_bytes: int = 0) -> None:
        """reserve_bytes: of the disk, to be left free."""
        self._store, self._max_bytes, self._reserve_bytes = store, max_bytes, reserve_bytes
        self._root = store.root / "pictures"
        self._added = 0  # bytes since the last `trim`

    def open(self, name: str) -> OpenPicture | None:
        """None where there is none, or only a damaged one. The caller closes the file."""
        path = self._path(name)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        seal = file.read(hashlib.sha256().digest_size)
        found = hashlib.file_digest(file, lambda: hashlib.sha256(name.encode()))
        if found.digest() != seal:
            file.close()
            path.unlink(missing_ok=True)
            log.warning("a damaged picture is drawn again: %s", name)
            return None
        end, begin = file.tell(), file.seek(len(seal))
        with suppress(FileNotFoundError):
            os.utime(path)  # `trim` keeps what was used last
        return OpenPicture(file, end - begin)

    def put(self, name: str, png: bytes) -> None:
        """After a power cut it may be damaged: it is not worth the wait for the disk.

        Raises StoreAwayError.
        """
        target = self._path(name)
        content = hashlib.sha256(name.encode() + png).digest() + png
        try:
            self._write(target, content)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            for path in _all_pictures(self._store):  # make room
                path.unlink(missing_ok=True)
            self._write(target, content)
        # The stored file may have been deleted while its picture was drawn. Either this sees it,
        # or who deletes it sees the picture.
        if not self._store.exists(_stored_sha256(name)):
            target.unlink(missing_ok=True)
        self._added += len(png)
        if self._added > self._max_bytes / 10 or self._missing_bytes() > 0:
            self.trim()

    def trim(self) -> None:
        """Delete those without their stored file, and the longest unused: beyond `max_bytes`, and
        into the reserve of the disk.
        """
        self._added, used = 0, []
        for path in pictures_without_stored_file(self._store):
            path.unlink(missing_ok=True)
        for path in _all_pictures(self._store):
            with suppress(FileNotFoundError):
                status = path.stat()
                used.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in used)
        excess = max(total - self._max_bytes, min(self._missing_bytes(), total - ALWAYS_KEPT_BYTES))
        for _, size, path in sorted(used):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size

    def _write(self, target: Path, content: bytes) -> None:
        self._store.make_folder(target.parent)
        with temporary_file(self._store.make_folder(self._store.temporary)) as temporary:
            temporary.file.write(content)
            temporary.file.close()
            temporary.path.replace(target)

    def _missing_bytes(self) -> int:
        return self._reserve_bytes - shutil.disk_usage(self._store.root).free

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / name


def picture_name(
    stored_sha256: str, heatmap: NDArray[np.float32] | None = None, *, orientation: int = 0
) -> str:
    """heatmap: of an overlay. orientation: of the stored image, which is drawn upright."""
    drawing = f"{DRAWING}.{orientation}"
    if heatmap is None:
        return f"{stored_sha256}-display-{drawing}"
    return f"{stored_sha256}-overlay-{drawing}-{hashlib.sha256(heatmap.tobytes()).hexdigest()}"


def pictures_without_stored_file(store: FileStore) -> Iterator[Path]:
    return (one for one in _all_pictures(store) if not store.exists(_stored_sha256(one.name)))


def delete_pictures(store: FileStore, stored_sha256s: Iterable[str]) -> None:
    """Call it after their stored files were deleted."""
    for sha256 in stored_sha256s:
        for path in (store.root / "pictures" / sha256[:2]).glob(f"{sha256}-*"):
            path.unlink(missing_ok=True)


def _all_pictures(store: FileStore) -> Iterator[Path]:
    return (store.root / "pictures").glob("*/*")


def _stored_sha256(name: str) -> str:
    return name[:SHA256_LENGTH]
