"""Finds the files that a command is given, and names them for the results.

`file`, the name in results, has "/" between its parts. In a folder it begins with the folder's
own name; a file given by a plain relative path keeps that path; any other (absolute, or with
"..") is named from the deepest folder common to all of those.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.errors import UsageProblem
from pipeline.files.sniff import is_junk
from pipeline.text import plural, readable


@dataclass(frozen=True)
class Source:
    file: str
    path: Path


class Walk:
    """The files below the given paths, sorted; can be iterated several times.

    A folder that cannot be listed is yielded like a file; opening it tells why. `ignored` and
    `outside` count what the last iteration left out: hidden or junk files, and links that lead
    out of their folder.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        for path in paths:
            _check(path)
        self._roots = list(zip(paths, _names(paths), strict=True))
        self.ignored = 0
        self.outside = 0

    def __iter__(self) -> Iterator[Source]:
        self.ignored = self.outside = 0
        for path, name in self._roots:
            if path.is_dir():
                yield from self._below(path, name, root=path.resolve())
            else:
                yield Source(name, path)

    def count(self) -> int:
        """Count the files. Raises UsageProblem if there are none."""
        number = sum(1 for _ in self)
        if not number:
            without = f" ({clause})" if (clause := self.left_out()) else ""
            raise UsageProblem(f"{self._roots[0][0]}: contains no files{without}")
        return number

    def left_out(self) -> str | None:
        """Describe what was left out, if anything."""
        parts = [f"{self.ignored} hidden or junk"] if self.ignored else []
        parts += [f"{plural(self.outside, 'link')} out of the folder"] if self.outside else []
        return "left out: " + ", ".join(parts) if parts else None

    def _below(self, folder: Path, name: str, *, root: Path) -> Iterator[Source]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            yield Source(name, folder)
            return
        for entry in entries:
            file, path = f"{name}/{readable(entry.name)}", Path(entry.path)
            if entry.name.startswith(".") or is_junk(entry.name):
                self.ignored += 1
            elif entry.is_dir(follow_symlinks=False):
                yield from self._below(path, file, root=root)
            # realpath, since Path.resolve() fails for circular links
            elif entry.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                self.outside += 1
            elif _is_regular(entry):
                yield Source(file, path)
            else:
                self.ignored += 1


def _check(path: Path) -> None:
    """Raises UsageProblem."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
        elif not stat.S_ISREG(mode):
            raise UsageProblem(f"{path}: neither a file nor a folder")
    except FileNotFoundError:
        raise UsageProblem(f"{path}: no such file or folder") from None
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}") from None


def _is_regular(entry: os.DirEntry[str]) -> bool:
    """Reading a pipe or device could block; a linked folder is walked where it is."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True  # a broken link: opening it tells why


def _names(paths: Sequence[Path]) -> list[str]:
    others = {
        path: Path(os.path.normpath(path.absolute()))
        for path in paths
        if path.is_absolute() or ".." in path.parts or not path.is_file()
    }
    common = os.path.commonpath([path.parent for path in others.values()]) if others else ""
    relative = (others[path].relative_to(common) if path in others else path for path in paths)
    return [readable(path.as_posix()) for path in relative]
