"""A folder for libraries that write files into the home folder when they are imported."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory


@contextmanager
def import_folder(variable: str) -> Iterator[None]:
    """`variable` names an empty folder until the end of the block, unless it is set already.

    Then nothing is left in the home folder, and no settings are read from there.
    """
    if variable in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="overread-") as folder:
        os.environ[variable] = folder
        try:
            yield
        finally:
            del os.environ[variable]
