"""The files of a zip archive, one by one; each is readable or refused on its own.

Nothing is unpacked to disk here: callers read a member's stream and store it under its hash,
so no name from an archive becomes a path. Nested archives are refused: people send a depth of
one, and every further one multiplies what a bomb unpacks to.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.errors import RefusedError, bad_archive, damaged, not_an_image, too_large, unsupported
from pipeline.files.archive_checks import check_directory, check_name, name_of, shown_name
from pipeline.files.formats import name_of_document
from pipeline.files.sniff import HEAD_BYTES, is_junk

_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # a first entry, or none at all
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # APPNOTE 4.4.4: file, strong, and the directory itself
_LOCAL_HEADER_BYTES = 30  # APPNOTE 4.3.7, before name and extra field
# Not bzip2 and LZMA: zipfile unpacks a block of them at once, and a few bytes may hold gigabytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NESTED = "it is a zip archive inside a zip archive"
_DAMAGED = "the archive is damaged at this file"
_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
)


@dataclass(frozen=True)
class ArchiveLimits:
    """Bounds of one archive.

    max_files, max_bytes: of all members together, unpacked. max_member_bytes: of one member.
    max_ratio: unpacked to packed bytes, counted from `ratio_floor_bytes` on. Radiographs
    compress to a half or a tenth, black ones perhaps to a hundredth.
    """

    max_files: int = 200_000
    max_bytes: int = 20 * 2**30
    max_member_bytes: int = 512 * 2**20
    max_ratio: float = 200.0
    ratio_floor_bytes: int = 2**20


@dataclass(frozen=True)
class Member:
    """One file of an archive.

    name: safe to show, unique within the archive. refusal: why it must not be opened, or None.
    size: unpacked bytes as the archive states them.
    """

    name: str
    refusal: RefusedError | None
    size: int
    _archive: zipfile.ZipFile
    _info: zipfile.ZipInfo

    def open(self) -> BinaryIO:
        """Return a stream of the content, valid until the next member is taken.

        Raises RefusedError, also from the stream's `read`, for a damaged or refused member.
        """
        if self.refusal:
            raise self.refusal
        try:
            content = cast(zipfile.ZipExtFile, self._archive.open(self._info))
            head = content.peek(HEAD_BYTES)
        except _READ_ERRORS:
            raise damaged(_DAMAGED) from None
        if is_archive(head):
            content.close()
            if document := name_of_document(head):
                raise not_an_image(f"expected a radiograph, received {document}")
            raise bad_archive(_NESTED)
        return cast(BinaryIO, _Stream(content))


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with `head` is a zip archive.

    An image followed by an archive is an image.
    """
    return head.startswith(_SIGNATURES)


def members(
    source: Path | BinaryIO, *, limits: ArchiveLimits = ArchiveLimits()
) -> Iterator[Member]:
    """Yield the archive's files in their stored order, without folders and desktop junk.

    Raises RefusedError before the first member if the archive as a whole is damaged, empty or
    beyond `limits`, if entries share bytes (as in bombs), or if another archive precedes it,
    whose files would be missed.
    """
    with ExitStack() as stack:
        stream = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        if document := name_of_document(stream.read(HEAD_BYTES)):
            raise not_an_image(f"expected radiographs, received {document}")
        try:
            check_directory(stream, max_entries=2 * limits.max_files)  # with folders and junk
            archive = stack.enter_context(zipfile.ZipFile(stream))
        except _READ_ERRORS:
            raise damaged("the zip archive is damaged: its directory cannot be read") from None
        files = [
            info
            for info in archive.infolist()
            # ZipInfo.is_dir fails for an empty name.
            if not name_of(info).endswith(("/", "\\")) and not is_junk(name_of(info))
        ]
        _check_archive(archive, files, limits)
        yield from _members(archive, files, limits)


def _members(
    archive: zipfile.ZipFile, files: list[zipfile.ZipInfo], limits: ArchiveLimits
) -> Iterator[Member]:
    used: set[str] = set()
    times: Counter[str] = Counter()
    for info in files:
        shown = name = shown_name(name_of(info))
        while name in used:  # equal names are different files: keep all of them
            times[shown] += 1
            name = f"{shown} ({times[shown] + 1})"
        used.add(name)
        yield Member(name, _refusal(info, limits), info.file_size, archive, info)


def _check_archive(
    archive: zipfile.ZipFile, files: list[zipfile.ZipInfo], limits: ArchiveLimits
) -> None:
    if not files:
        raise bad_archive("the zip archive contains no files")
    if len(files) > limits.max_files:
        raise bad_archive(
            f"the zip archive contains {len(files)} files, expected at most {limits.max_files}"
        )
    if sum(info.file_size for info in files) > limits.max_bytes:
        raise bad_archive(f"the zip archive unpacks to more than {limits.max_bytes} bytes")
    if min(info.header_offset for info in archive.infolist()) > 0:
        # Of two concatenated archives zipfile reads the second only.
        raise damaged("the zip archive is damaged: its first entry is not at its start")
    if _overlap(archive):
        raise damaged("the zip archive is damaged: its entries overlap")


def _overlap(archive: zipfile.ZipFile) -> bool:
    """Whether entries share bytes: a next one begins before the previous one can have ended."""
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    starts = [info.header_offset for info in infos[1:]] + [archive.start_dir]
    return any(
        info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size > start
        for info, start in zip(infos, starts, strict=True)
    )


def _refusal(info: zipfile.ZipInfo, limits: ArchiveLimits) -> RefusedError | None:
    try:
        for name in (info.orig_filename, name_of(info)):
            check_name(name)
    except RefusedError as refusal:
        return refusal
    mode = info.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return bad_archive("it is a link or another special file")
    if info.flag_bits & _ENCRYPTED:
        return unsupported("it is encrypted")
    if info.compress_type not in _METHODS:
        return unsupported("its compression method is not supported")
    if name_of(info).lower().endswith(".zip"):
        return bad_archive(_NESTED)
    if info.file_size == 0:
        return not_an_image("the file is empty")
    if info.file_size > limits.max_member_bytes:
        return too_large(f"it unpacks to more than {limits.max_member_bytes} bytes")
    if info.file_size > limits.ratio_floor_bytes + limits.max_ratio * info.compress_size:
        return too_large(f"it unpacks to more than {limits.max_ratio:g} times its size")
    return None


class _Stream(io.RawIOBase):
    """A member's content; errors while reading become RefusedError."""

    def __init__(self, stream: zipfile.ZipExtFile) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except _READ_ERRORS:
            raise damaged(_DAMAGED) from None

    def close(self) -> None:
        self._stream.close()
        super().close()
