"""What lies in the file store, compared with what should; a folder of it in memory at a time."""

import os
from collections.abc import Iterator
from pathlib import Path

from models.needed_files import Wanted


def unwanted(area: Path, wanted: Iterator[Wanted]) -> Iterator[os.DirEntry[str]]:
    """Files that nobody asks for, or that lie where nobody would look.

    wanted: by rising hash, as the folders of an area lie: each after the first two digits.
    """
    hashes = (one.sha256 for one in wanted)
    asked = next(hashes, None)
    for folder in _entries(area):
        if not folder.is_dir(follow_symlinks=False):
            yield folder
            continue
        for file in _entries(folder.path):
            if file.is_dir(follow_symlinks=False) or file.name[:2] != folder.name:
                yield from files_below(file)
                continue
            while asked is not None and asked < file.name:
                asked = next(hashes, None)
            if asked != file.name:
                yield file


def files_below(place: os.DirEntry[str] | Path) -> Iterator[os.DirEntry[str]]:
    """All of them; of a file, itself."""
    if isinstance(place, os.DirEntry) and not place.is_dir(follow_symlinks=False):
        yield place
        return
    for entry in _entries(place):
        yield from files_below(entry)


def _entries(folder: os.DirEntry[str] | Path | str) -> list[os.DirEntry[str]]:
    """By name; none where nothing is there yet."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
