"""Files that systems and viewers leave beside people's pictures; nobody means to send them."""

from pathlib import PurePosixPath

# A DICOMDIR is a table of contents: its images come as files of their own.
_NAMES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "dicomdir"})
_FOLDERS = frozenset({"__macosx", "@eadir", ".git"})


def is_junk(name: str) -> bool:
    """Judge a path by its parts, in any case; backslashes count as separators."""
    *folders, last = PurePosixPath(name.replace("\\", "/").lower()).parts or ("",)
    return last in _NAMES | _FOLDERS or last.startswith("._") or not _FOLDERS.isdisjoint(folders)
