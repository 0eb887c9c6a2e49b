"""Old backups go, and contents that no backup names any more."""

import re
import shutil
from pathlib import Path

from cli.backup_folder import UNFINISHED, Backups, writing
from cli.fatal import Failed
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
        try:
            named = _named(backups) if old else set()
        except Failed as error:
            return f"Deleted {len(old)} older backups, and no files: {error.format_message()}"
        files = _discard_unnamed(backups, named) if old else 0
    return f"Deleted {len(old)} older backups and {files} files that no other names"


def _named(backups: Backups) -> set[bytes]:
    """Contents of all backups. Raises Failed where a list is damaged: nobody knows what it names"""
    return {bytes.fromhex(one.sha256) for name in backups.names() for one in backups.files(name)}


def _discard_unnamed(backups: Backups, named: set[bytes]) -> int:
    discarded = 0
    for path in (backups.root / "files").glob("??/*"):
        # Nothing but contents, should a folder be linked in from elsewhere.
        if re.fullmatch("[0-9a-f]{64}", path.name) and bytes.fromhex(path.name) not in named:
            path.unlink()
            discarded += 1
    return discarded
