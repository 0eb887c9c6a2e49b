"""Where a command on the service's machine puts files for it: in the file store's `temporary`.

What a killed command leaves there is deleted with other leftovers.
"""

from pathlib import Path


def handed_over_path(folder: Path, token: str, upload_id: int) -> Path:
    """folder: `FileStore.temporary`. token: 32 random hexadecimal digits."""
    return folder / f"{token}-{upload_id}"
