"""Which files a command line means, and what each is called in results.

`file`, the name in results, always has "/" between its parts. In a folder it begins with the
folder's own name; a file given by a plain relative path keeps that path; whatever else is given
(absolute, or with "..") is named from the deepest folder common to all of those.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.errors import UsageProblem
from pipeline.files.sniff import is_junk
from pipeline.text import readable


@dataclass(frozen=True)
class Source:
    file: str
    path: Path


class Walk:
    """The files below the given paths, sorted, one after the other; iterate as often as needed.

    A folder that cannot be listed is a file that cannot be read: whoever opens it says why.
    `ignored` and `outside` count what the last iteration left out: hidden or junk files, and
    links that lead out of their folder.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        for path in paths:
            _check(path)
        self._roots = list(zip(paths, _labels(paths), strict=True))
        self.ignored = 0
        self.outside = 0

    def __iter__(self) -> Iterator[Source]:
        self.ignored = self.outside = 0
        for path, label in self._roots:
            if path.is_dir():
                yield from self._below(path, label, root=path.resolve())
            else:
                yield Source(label, path)

    def count(self) -> int:
        """Also says what is wrong with the paths as a whole: there is nothing in them."""
        number = sum(1 for _ in self)
        if not number:
            without = f" ({clause})" if (clause := self.left_out()) else ""
            first = readable(str(self._roots[0][0]))
            raise UsageProblem(f"{first}: there are no files in it{without}")
        return number

    def left_out(self) -> str | None:
        """A clause for people, or None."""
        parts = [f"{self.ignored} hidden or junk"] if self.ignored else []
        parts += [f"{self.outside} links out of the folder"] if self.outside else []
        return "left out: " + ", ".join(parts) if parts else None

    def _below(self, folder: Path, label: str, *, root: Path) -> Iterator[Source]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            yield Source(label, folder)
            return
        for entry in entries:
            name = f"{label}/{readable(entry.name)}"
            if entry.name.startswith(".") or is_junk(entry.name):
                self.ignored += 1
            elif entry.is_dir(follow_symlinks=False):
                yield from self._below(Path(entry.path), name, root=root)
            elif not entry.is_symlink() or _leads_inside(Path(entry.path), root):
                if _is_regular(entry):
                    yield Source(name, Path(entry.path))
                else:
                    self.ignored += 1
            else:
                self.outside += 1


def _check(path: Path) -> None:
    """UsageProblem."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
    except FileNotFoundError:
        raise UsageProblem(f"{readable(str(path))}: no such file or folder") from None
    except OSError as error:
        raise UsageProblem(f"{readable(str(path))}: cannot be read: {error.strerror}") from None
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise UsageProblem(f"{readable(str(path))}: neither a file nor a folder")


def _is_regular(entry: os.DirEntry[str]) -> bool:
    """A pipe or device would block for ever; a linked folder was or will be walked by itself."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True  # a broken link is a file that cannot be read, and said to be


def _leads_inside(path: Path, root: Path) -> bool:
    # Path.resolve() fails where links go round in circles.
    return Path(os.path.realpath(path)).is_relative_to(root)


def _labels(paths: Sequence[Path]) -> list[str]:
    plain = [_is_plain(path) for path in paths]
    others = [path.absolute() for path, is_plain in zip(paths, plain, strict=True) if not is_plain]
    resolved = [Path(os.path.normpath(path)) for path in others]
    common = Path(os.path.commonpath([path.parent for path in resolved])) if resolved else Path()
    named = iter(readable(path.relative_to(common).as_posix()) for path in resolved)
    return [
        readable(path.as_posix()) if is_plain else next(named)
        for path, is_plain in zip(paths, plain, strict=True)
    ]


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_absolute() and ".." not in path.parts
