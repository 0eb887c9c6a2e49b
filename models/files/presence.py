"""Whether the file store is there: a disk that is not mounted must not look like an empty store.

A file beside the store says that it was made once. A store of which that is known, and which has
none of its folders, is away: nothing is written, and no file counts as lost.
"""

import errno
from pathlib import Path

from models.config.settings import MADE_FILE

FOLDERS = ("temporary", "stored", "incoming", "inputs", "partial")


class StoreAwayError(OSError):
    def __init__(self, root: Path) -> None:
        problem = "the file store is missing or empty: is its disk mounted?"
        super().__init__(errno.ENOENT, problem, str(root))


def make_store(root: Path, *, holds_files: bool) -> None:
    """Make a new store. holds_files: rows need files of it, so it must be there unless it is
    marked. Raises StoreAwayError.
    """
    if root.with_name(MADE_FILE).exists():
        return
    if holds_files:
        if not _has_folders(root):
            raise StoreAwayError(root)
        return
    root.mkdir(mode=0o700, exist_ok=True)
    (root / FOLDERS[0]).mkdir(mode=0o700, exist_ok=True)


def mark_store(root: Path) -> None:
    """Note that there is one."""
    root.with_name(MADE_FILE).touch(mode=0o600)


def require_store(root: Path) -> None:
    """Raises StoreAwayError."""
    if is_away(root):
        raise StoreAwayError(root)


def is_away(root: Path) -> bool:
    return not _has_folders(root) and root.with_name(MADE_FILE).exists()


def _has_folders(root: Path) -> bool:
    return any((root / name).is_dir() for name in FOLDERS)
