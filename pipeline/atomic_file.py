"""Files and folders that appear under their name complete, or not at all.

Everything is written under a temporary name on the same disk, forced to disk, and renamed. A
killed process leaves the temporary name behind: `.NAME.partial-RANDOM` where no folder was given.
"""

import ctypes
import os
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import BinaryIO

OWNER_ONLY = 0o600
PARTIAL = ".partial-"


@dataclass(frozen=True)
class TemporaryFile:
    file: BinaryIO
    path: Path

    def rename(self, target: Path, *, replace: bool = True) -> None:
        """Content and name survive a power cut. FileExistsError unless `replace`."""
        self.file.flush()
        os.fsync(self.file.fileno())
        if replace:
            self.path.replace(target)
        else:
            os.link(self.path, target)
        sync(target.parent)


@contextmanager
def temporary_file(
    folder: Path, *, mode: int = OWNER_ONLY, name: str = ""
) -> Iterator[TemporaryFile]:
    """A new file in `folder`, deleted at the end unless it was renamed. mode: before the umask."""
    path = folder / f"{name}{secrets.token_hex(16)}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield TemporaryFile(file, path)
    finally:
        with suppress(OSError):  # renamed, or in a folder that is not writable any more
            path.unlink()


@dataclass
class NewFile:
    file: BinaryIO
    target: Path = Path()


class FileGroup:
    """New files that get their names together: see `file_group`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._targets: dict[Path, Path] = {}  # by temporary name

    def write(self, target: Path, content: bytes) -> None:
        with self.new_file() as new:
            new.file.write(content)
            new.target = target

    @contextmanager
    def new_file(self) -> Iterator[NewFile]:
        """The `with` block writes it and sets its target; after an error it is deleted."""
        path = self._temporary()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        try:
            with os.fdopen(descriptor, "wb") as file:
                new = NewFile(file)
                yield new
        except BaseException:
            path.unlink()
            raise
        self._targets[path] = new.target

    def link(self, source: Path, target: Path) -> None:
        """Another name of a file of the same disk, which keeps its old one."""
        path = self._temporary()
        os.link(source, path)
        self._targets[path] = target

    def rename(self) -> None:
        sync_all(self._targets)
        for path, target in self._targets.items():
            path.replace(target)
        sync_all({target.parent for target in self._targets.values()})
        # POSIX: renaming to another name of the same file does nothing.
        self.discard()

    def discard(self) -> None:
        for path in self._targets:
            with suppress(OSError):  # renamed, or in a folder that is not writable any more
                path.unlink()
        self._targets.clear()

    def _temporary(self) -> Path:
        return self._folder / secrets.token_hex(16)


@contextmanager
def file_group(folder: Path) -> Iterator[FileGroup]:
    """Files of one disk that are written below `folder` and renamed when the `with` block ends.

    The disk is waited for twice, however many they are. After an error none has got its name,
    unless it came while they were renamed.
    """
    group = FileGroup(folder)
    try:
        yield group
        group.rename()
    finally:
        group.discard()


def write_file(
    target: Path, content: bytes | Iterable[bytes], *, mode: int = OWNER_ONLY, replace: bool = True
) -> None:
    """Write a file as a whole. FileExistsError where it exists, unless `replace`."""
    with temporary_file(target.parent, mode=mode, name=partial_name(target)) as temporary:
        temporary.file.writelines([content] if isinstance(content, bytes) else content)
        temporary.rename(target, replace=replace)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder that gets its name at the end of the `with` block, with all that is in it.

    Raises FileExistsError where `target` has come to hold something.
    """
    make_folder(target.parent)
    temporary = target.with_name(f"{partial_name(target)}{secrets.token_hex(16)}")
    temporary.mkdir()
    try:
        yield temporary
        for path in (temporary, *temporary.rglob("*")):
            sync(path)
        _rename_folder(temporary, target)
        sync(target.parent)
    finally:
        rmtree(temporary, ignore_errors=True)


def partial_name(target: Path) -> str:
    """How temporary names beside `target` begin."""
    return f".{target.name}{PARTIAL}"


def make_folder(folder: Path, *, mode: int = 0o777) -> Path:
    """Make it, and the missing ones above it, so that they survive a power cut. mode: before the
    umask.
    """
    if not folder.is_dir():
        make_folder(folder.parent, mode=mode)
        folder.mkdir(mode=mode, exist_ok=True)
        sync(folder.parent)
    return folder


def sync(path: Path) -> None:
    """Force a file's content, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(paths: Collection[Path]) -> None:
    """Force files and folders of one disk to it. One wait for all of the disk takes as long as a
    few files, each of which is a wait of its own.
    """
    if len(paths) == 1 or _SYNCFS is None:
        for path in paths:
            sync(path)
    elif paths:
        sync_file_system(next(iter(paths)))


def sync_file_system(path: Path) -> None:
    """Force all that was written to the disk of `path` to it, see syncfs(2)."""
    assert _SYNCFS is not None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _SYNCFS(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    finally:
        os.close(descriptor)


_SYNCFS = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)  # Linux has it


def _rename_folder(temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError:
        if target.exists():
            raise FileExistsError(f"{target} exists") from None
        raise
