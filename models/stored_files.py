"""What lies in the file store, listed."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

Area = Literal["incoming", "stored", "inputs", "partial", "temporary"]
FileList = dict[Area, list[Path]]


def list_files(root: Path, *, before: float | None = None) -> FileList:
    """By area; those that were last written before a time (seconds since the epoch), or all."""
    return {area: list(_walk(root / area, before)) for area in get_args(Area)}


def _walk(folder: Path, before: float | None) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), before)
            continue
        with suppress(FileNotFoundError):  # a worker was done with it
            if before is None or entry.stat(follow_symlinks=False).st_mtime <= before:
                yield Path(entry.path)
