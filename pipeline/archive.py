"""The files of a zip archive, one by one, each with its own fate.

Nothing is unpacked to disk here: callers read a member's stream and store it under its hash,
so no name from an archive ever becomes a path.
"""

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from pipeline.archive_name import check_name, shown_name
from pipeline.errors import RefusedError
from pipeline.junk import is_junk

_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # a first entry, or none at all
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


@dataclass(frozen=True)
class ArchiveLimits:
    """Bounds for one archive.

    max_files, max_bytes: of all members together, unpacked. max_member_bytes: of one.
    max_ratio: unpacked through packed, counted from `ratio_floor_bytes` on. Radiographs
    pack to a half or a tenth, black ones perhaps to a hundredth.
    """

    max_files: int = 200_000
    max_bytes: int = 20 * 2**30
    max_member_bytes: int = 512 * 2**20
    max_ratio: float = 200.0
    ratio_floor_bytes: int = 2**20


@dataclass(frozen=True)
class Member:
    """One file of an archive.

    name: safe to show, unique within the archive. refusal: why it must not be opened, a
    plain clause; None where it may be. size: bytes, unpacked, as the archive states.
    """

    name: str
    refusal: str | None
    size: int
    _archive: zipfile.ZipFile
    _info: zipfile.ZipInfo

    def open(self) -> BinaryIO:
        """Return a stream of the content, valid until the next member is asked for.

        Raises RefusedError, also from `read`, where the member is damaged or refused.
        """
        if self.refusal:
            raise RefusedError(self.refusal)
        try:
            return cast(BinaryIO, _Stream(self._archive.open(self._info)))
        except _READ_ERRORS:
            raise RefusedError("the archive is damaged at this file") from None


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with `head` is to be unpacked.

    A picture with an archive behind it is a picture.
    """
    return head.startswith(_SIGNATURES)


def members(
    source: Path | BinaryIO, *, limits: ArchiveLimits = ArchiveLimits()
) -> Iterator[Member]:
    """Yield the archive's files in its own order; folders and desktop junk are left out.

    Raises RefusedError for the archive as a whole, before the first member: damaged,
    empty, beyond `limits`, or with entries that share bytes (as bombs do).
    """
    try:
        archive = zipfile.ZipFile(source)
    except _READ_ERRORS:
        raise RefusedError("the zip archive is damaged: its directory cannot be read") from None
    with archive:
        files = [
            info
            for info in archive.infolist()
            # (is_dir() of the library fails on an empty name)
            if not info.orig_filename.endswith(("/", "\\")) and not is_junk(info.orig_filename)
        ]
        _check_archive(archive, files, limits)
        yield from _members(archive, files, limits)


def _members(
    archive: zipfile.ZipFile, files: list[zipfile.ZipInfo], limits: ArchiveLimits
) -> Iterator[Member]:
    seen: Counter[str] = Counter()
    for info in files:
        name = shown_name(info.orig_filename)
        seen[name] += 1
        if seen[name] > 1:  # the same name again is another file: none may be lost
            name = f"{name} ({seen[name]})"
        yield Member(name, _refusal(info, limits), info.file_size, archive, info)


def _check_archive(
    archive: zipfile.ZipFile, files: list[zipfile.ZipInfo], limits: ArchiveLimits
) -> None:
    if not files:
        raise RefusedError("the zip archive holds no files")
    if len(files) > limits.max_files:
        raise RefusedError(
            f"the zip archive holds {len(files)} files, expected at most {limits.max_files}"
        )
    if sum(info.file_size for info in files) > limits.max_bytes:
        raise RefusedError(f"the zip archive unpacks to more than {limits.max_bytes} bytes")
    if _overlap(archive):
        raise RefusedError("the zip archive is damaged: its entries overlap")


def _overlap(archive: zipfile.ZipFile) -> bool:
    """Whether entries share bytes; each is at least its packed size away from the next."""
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    starts = [info.header_offset for info in infos[1:]] + [archive.start_dir]
    header = zipfile.sizeFileHeader  # type: ignore[attr-defined]
    return any(
        info.header_offset + header + info.compress_size > start
        for info, start in zip(infos, starts, strict=True)
    )


def _refusal(info: zipfile.ZipInfo, limits: ArchiveLimits) -> str | None:
    try:
        check_name(info.orig_filename)
    except RefusedError as refusal:
        return str(refusal)
    mode = info.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "it is a link or another special file"
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if info.compress_type not in _METHODS:
        return "its compression method is not supported"
    if info.orig_filename.lower().endswith(".zip"):
        return "it is a zip archive inside a zip archive"
    if info.file_size == 0:
        return "the file is empty"
    if info.file_size > limits.max_member_bytes:
        return f"it unpacks to more than {limits.max_member_bytes} bytes"
    if info.file_size > limits.ratio_floor_bytes + limits.max_ratio * info.compress_size:
        return f"it unpacks to more than {limits.max_ratio:g} times its size"
    return None


class _Stream(io.RawIOBase):
    """A member's content; what goes wrong while reading is the file's fault, in plain words."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except _READ_ERRORS:
            raise RefusedError("the archive is damaged at this file") from None

    def close(self) -> None:
        self._stream.close()
        super().close()
