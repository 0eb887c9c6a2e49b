"""What a power cut would leave: only what was forced to disk, as POSIX promises no more."""

import os
import stat
from pathlib import Path

import pytest

from pipeline import atomic_file


class Disk:
    """Watches what forces files to disk from now on; what is there already is on disk.

    A file survives under a name if its content was synchronised after it was written, and the
    folder with the name after it got the name, and so on up to `root`.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = root
        self._contents: dict[int, bytes] = {}  # by inode
        self._names: dict[int, dict[str, int]] = {}  # inodes by name, by a folder's inode
        self.history: list[dict[str, bytes]] = []  # the survivors after each change of them
        self._fsync, self._sync = os.fsync, os.sync
        self._sync_file_system = atomic_file.sync_file_system
        self._keep_all()
        monkeypatch.setattr(os, "fsync", self._watch_fsync)
        monkeypatch.setattr(os, "sync", self._watch_sync)
        monkeypatch.setattr(atomic_file, "sync_file_system", self._watch_sync_file_system)

    def survivors(self) -> dict[str, bytes]:
        """Content by path below `root`."""
        return dict(self._below(self._root.stat().st_ino, ""))

    def _below(self, folder: int, path: str) -> list[tuple[str, bytes]]:
        found = []
        for name, inode in self._names.get(folder, {}).items():
            if inode in self._names:
                found += self._below(inode, f"{path}{name}/")
            else:
                found.append((f"{path}{name}", self._contents.get(inode, b"")))
        return found

    def _watch_fsync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        self._keep(Path(f"/proc/self/fd/{descriptor}"))
        self.history.append(self.survivors())

    def _watch_sync(self) -> None:
        self._sync()
        self._keep_all()

    def _watch_sync_file_system(self, path: Path) -> None:
        self._sync_file_system(path)
        self._keep_all()
        self.history.append(self.survivors())

    def _keep_all(self) -> None:
        for path in (self._root, *self._root.rglob("*")):
            self._keep(path)

    def _keep(self, path: Path) -> None:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(path) as entries:
                self._names[status.st_ino] = {one.name: one.inode() for one in entries}
        else:
            self._contents[status.st_ino] = path.read_bytes()
