"""Contents go into a folder of backups, each once; one file after the other, in order."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cli.backup_folder import FILE_LIST, UNFINISHED, Backups, SavedFile
from cli.fatal import Failed, UsageProblem
from cli.files import copy_hashed, sha256_of


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
