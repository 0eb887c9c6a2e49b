"""Small things about files that several commands need."""

import hashlib
from collections.abc import Iterable
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
    """Whole or not at all: a cut-off file would look like fewer rows. UsageProblem."""
    partial = output.with_name(f".{output.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        partial.replace(output)
    except OSError as error:
        raise UsageProblem(f"{output}: cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
