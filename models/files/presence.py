"""Whether the file store is there: a disk that is not mounted must not look like an empty store.

A file beside the store says that it was made once. A store of which that is known, and which has
none of its folders, is away: nothing is written, and no file counts as lost.
"""

import errno
from pathlib import Path

MADE_FILE = ".files-made"  # in the data folder
FOLDERS = ("temporary", "stored", "incoming", "inputs", "partial")


class StoreAwayError(OSError):
    def __init__(self, root: Path) -> None:
        problem = "the file store is missing or empty: is its disk mounted?"
        super().__init__(errno.ENOENT, problem, str(root))


def mark_store(root: Path, *, holds_files: bool) -> None:
    """Make a new store, and note that there is one. holds_files: rows need files of it."""
    made = root.with_name(MADE_FILE)
    if not made.exists() and not holds_files:
        root.mkdir(mode=0o700, exist_ok=True)
        (root / FOLDERS[0]).mkdir(mode=0o700, exist_ok=True)
    made.touch(mode=0o600)


def require_store(root: Path) -> None:
    """Raises StoreAwayError."""
    if is_away(root):
        raise StoreAwayError(root)


def is_away(root: Path) -> bool:
    if any((root / name).is_dir() for name in FOLDERS):
        return False
    return root.with_name(MADE_FILE).exists()
