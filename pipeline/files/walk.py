"""The files below a folder, sorted, and what is left out of them, counted with examples."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.files.sniff import is_junk
from pipeline.text import listed, plural, readable

HIDDEN = "hidden or junk file"
OUTSIDE = "link that leads out of the folder"
WITHIN = "link to a folder that is read where it is"
AROUND = "link to a folder around one that is read"
SPECIAL = "pipe, socket or device"
_PLURALS = {
    OUTSIDE: "links that lead out of the folder",
    WITHIN: "links to folders that are read where they are",
    AROUND: "links to folders around one that is read",
    SPECIAL: "pipes, sockets or devices",
}


@dataclass
class LeftOut:
    """Names of what was left out, by the reason (one of the nouns above)."""

    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        self.names.setdefault(reason, []).append(name)

    def describe(self) -> str | None:
        """Return one line with counts and examples, or None if nothing was left out."""
        parts = (
            f"{plural(len(names), reason, _PLURALS.get(reason))} ({listed(map(readable, names))})"
            for reason, names in self.names.items()
        )
        return f"left out: {', '.join(parts)}" if self.names else None


class FolderWalk:
    """The files below `folder`, sorted by name; subfolders are included.

    follow: whether links are followed wherever they lead, each linked folder once. Otherwise only
    links that stay within the folder are. A folder that cannot be listed is yielded like a file:
    opening it tells why; so does a broken link. root: what names in `left_out` are relative to.
    """

    def __init__(
        self, folder: Path, left_out: LeftOut, *, follow: bool, root: Path | None = None
    ) -> None:
        self._folder, self._left_out, self._follow = folder, left_out, follow
        self._root = root or folder
        self._real = Path(os.path.realpath(folder))
        self._linked: set[Path] = set()

    def __iter__(self) -> Iterator[Path]:
        self._linked.clear()
        yield from self._below(self._folder)

    def _below(self, folder: Path) -> Iterator[Path]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            yield folder
            return
        for entry in entries:
            path = Path(entry.path)
            if reason := self._reason_against(entry):
                self._left_out.add(reason, path.relative_to(self._root).as_posix())
            elif _is_folder(entry):
                yield from self._below(path)
            else:
                yield path

    def _reason_against(self, entry: os.DirEntry[str]) -> str | None:
        if is_hidden(entry.name):
            return HIDDEN
        if entry.is_symlink():
            # realpath, since Path.resolve() fails for circular links
            target = Path(os.path.realpath(entry.path))
            if not self._follow and not target.is_relative_to(self._real):
                return OUTSIDE
            if _is_folder(entry) and (reason := self._reason_against_linked(target)):
                return reason
        return None if _is_folder(entry) or _is_regular(entry) else SPECIAL

    def _reason_against_linked(self, target: Path) -> str | None:
        """So that no file is read twice, and no walk is endless."""
        walked = [self._real, *self._linked]
        if any(_is_below(target, one) for one in walked):
            return WITHIN
        if any(one.is_relative_to(target) for one in walked):
            return AROUND
        self._linked.add(target)
        return None


def is_hidden(name: str) -> bool:
    return name.startswith(".") or is_junk(name)


def _is_below(target: Path, walked: Path) -> bool:
    """Whether the walk through `walked` comes to `target`: it leaves out what is hidden."""
    if not target.is_relative_to(walked):
        return False
    return not any(is_hidden(part) for part in target.relative_to(walked).parts)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_regular(entry: os.DirEntry[str]) -> bool:
    """Reading a pipe or device could block."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True
