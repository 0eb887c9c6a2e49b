"""A file's bytes, bounded."""

import os
from pathlib import Path

from pipeline.errors import RefusedError
from pipeline.limits import Limits


def read_content(path: Path, limits: Limits) -> bytes:
    """Return the whole file. Raises RefusedError if it is too large or cannot be read."""
    try:
        with path.open("rb") as file:
            # No more than there is: the interpreter sets aside all that is asked for.
            size = os.fstat(file.fileno()).st_size
            content = file.read(min(size, limits.max_bytes) + 1)
    except OSError as error:
        raise RefusedError(f"the file cannot be read: {error.strerror}") from None
    limits.check_bytes(len(content))
    return content
