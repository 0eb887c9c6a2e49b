"""Old backups go, and contents that no backup names any more."""

import shutil
from pathlib import Path

from cli.backup_folder import UNFINISHED, Backups, writing
from cli.plain_words import in_plain_words


def prune(root: Path, *, keep: int) -> str:
    """Returns one line that says what went."""
    backups = Backups(root.absolute())
    with in_plain_words(root, outcome="not all that is old was deleted"), writing(backups):
        old = backups.names()[:-keep]
        for name in old:
            # Under a name that says it is not whole, before anything of it is missing.
            left = (backups.folder / name).rename(backups.folder / f"{name}{UNFINISHED}")
            shutil.rmtree(left)
        files = _discard_unnamed(backups) if old else 0
    return f"Deleted {len(old)} older backups and {files} files that no other names"


def _discard_unnamed(backups: Backups) -> int:
    named = {one.sha256 for name in backups.names() for one in backups.files(name)}
    left = [one for one in (backups.root / "files").glob("??/*") if one.name not in named]
    for path in left:
        path.unlink()
    return len(left)
