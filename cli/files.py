"""Small things about files that several commands need."""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cli.fatal import UsageProblem

BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_hashed(source: Path, target: Path) -> str:
    """Returns the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(BLOCK):
            digest.update(block)
            writing.write(block)
    return digest.hexdigest()


def save_whole(lines: Iterable[str], output: Path) -> None:
    """Whole or not at all: a cut-off file would look like fewer rows. UsageProblem.

    A link is followed; a pipe or device cannot be replaced, so it is written to.
    """
    if output.exists() and not output.is_file():
        _save(lines, output, named=output)
        return
    target = Path(os.path.realpath(output))
    partial = target.with_name(f".{target.name}.partial")
    try:
        _save(lines, partial, named=output)
        partial.replace(target)
    finally:
        with suppress(OSError):  # in a folder that may not be entered, too
            partial.unlink()


def _save(lines: Iterable[str], path: Path, *, named: Path) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
    except OSError as error:
        raise UsageProblem(f"{named}: cannot be written: {error.strerror}") from None
