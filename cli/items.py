"""Sources opened: every file, and every file of every zip, with its hash or what is wrong."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from cli.files import sha256_of
from cli.sources import Source
from pipeline.errors import RefusedError
from pipeline.files.archive import ArchiveLimits, Member, is_archive, members


@dataclass(frozen=True)
class Item:
    """One file to be read. path: None where there is nothing to read, and `problem` says why.

    sha256: empty where the content was not read to its end. problem: a clause.
    status: what `problem` makes of the file, "rejected" or "failed".
    is_copy: unpacked for us; whoever has read it deletes it.
    """

    file: str
    sha256: str
    path: Path | None
    problem: str | None = None
    status: str = "rejected"
    is_copy: bool = False


def open_items(
    sources: Iterable[Source], *, scratch: Path, limits: ArchiveLimits
) -> Iterator[Item]:
    """Lazily: a zip's files are unpacked into `scratch` one by one, as they are asked for."""
    for source in sources:
        try:
            if _is_archive(source.path):
                yield from _unpack(source, scratch=scratch, limits=limits)
            else:
                yield Item(source.file, sha256_of(source.path), source.path)
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
            yield Item(source.file, "", None, problem, status="failed")


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return is_archive(file.read(8))


def _unpack(source: Source, *, scratch: Path, limits: ArchiveLimits) -> Iterator[Item]:
    """Named as in the portal: the zip is a folder like any other."""
    try:
        for member in members(source.path, limits=limits):
            yield _unpack_member(member, f"{source.file}/{member.name}", scratch)
    except RefusedError as error:
        yield Item(source.file, "", None, str(error))


def _unpack_member(member: Member, file: str, scratch: Path) -> Item:
    with NamedTemporaryFile(dir=scratch, delete=False) as copy:
        path = Path(copy.name)
        try:
            with member.open() as stream:
                shutil.copyfileobj(stream, copy)
        except RefusedError as error:
            path.unlink()
            return Item(file, "", None, str(error))
    return Item(file, sha256_of(path), path, is_copy=True)
