"""Uploads that are being sent: the bytes so far, in `partial/` of the file store, named by upload.

What the row counts as received is on disk first. A crash between the two leaves bytes that are not
counted, and the next part overwrites them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from models.file_lock import file_lock, is_same_file
from models.files.store import FileStore
from pipeline.atomic_file import sync
from pipeline.checksum import BLOCK


@dataclass(frozen=True)
class PartialFile:
    """Locked by one request."""

    path: Path
    descriptor: int

    @property
    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def append(self, stream: BinaryIO, *, at: int, max_bytes: int) -> int:
        """Write at most `max_bytes` of the stream from `at` on, in place of what follows there.

        Returns how many, durable on return. After an OSError none of them is kept.
        """
        self.cut(at)
        written = 0
        try:
            while written < max_bytes and (block := stream.read(min(BLOCK, max_bytes - written))):
                _write(self.descriptor, block, at=at + written)
                written += len(block)
            os.fsync(self.descriptor)
        except OSError:
            self.cut(at)
            raise
        if at == 0:
            sync(self.path.parent)
        return written

    def cut(self, size: int) -> None:
        os.ftruncate(self.descriptor, size)

    def head(self, length: int) -> bytes:
        return os.pread(self.descriptor, length, 0)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


class PartialFiles:
    def __init__(self, store: FileStore) -> None:
        self._store, self._folder = store, store.root / "partial"

    @contextmanager
    def hold(self, upload_id: int) -> Iterator[PartialFile]:
        """Raises LockedError where another request or process holds it."""
        path = self._store.make_folder(self._folder) / str(upload_id)
        with file_lock(path) as descriptor:
            partial = PartialFile(path, descriptor)
            try:
                yield partial
            finally:
                if partial.size == 0 and is_same_file(path, partial.descriptor):
                    partial.discard()

    def all(self) -> list[int]:
        """Ids of the uploads that have a file."""
        return sorted(int(path.name) for path in self._folder.glob("*"))


def _write(descriptor: int, block: bytes, *, at: int) -> None:
    rest = memoryview(block)
    while rest:
        written = os.pwrite(descriptor, rest, at)
        rest, at = rest[written:], at + written
