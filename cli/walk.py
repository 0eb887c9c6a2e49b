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
from pipeline.files.walk import FolderWalk, LeftOut
from pipeline.text import unique_name


@dataclass(frozen=True)
class Source:
    file: str
    path: Path


class Walk:
    """The files below the given paths, sorted; can be iterated several times.

    A folder that cannot be listed is yielded like a file; opening it tells why. Links that lead
    out of their folder are left out: what they show was not given.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        for path in paths:
            _check(path)
        self._roots = list(zip(paths, _names(paths), strict=True))
        self._left_out = LeftOut()

    def __iter__(self) -> Iterator[Source]:
        self._left_out = LeftOut()
        for path, name in self._roots:
            if path.is_dir():
                for found in FolderWalk(path, self._left_out, follow=False):
                    below = found.relative_to(path).as_posix()
                    yield Source(f"{name}/{unique_name(below)}" if found != path else name, found)
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
        """Describe what the last iteration left out, if anything."""
        return self._left_out.describe()


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


def _names(paths: Sequence[Path]) -> list[str]:
    others = {
        path: Path(os.path.normpath(path.absolute()))
        for path in paths
        if path.is_absolute() or ".." in path.parts or not path.is_file()
    }
    common = os.path.commonpath([path.parent for path in others.values()]) if others else ""
    relative = (others[path].relative_to(common) if path in others else path for path in paths)
    return [unique_name(path.as_posix()) for path in relative]
