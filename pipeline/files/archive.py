"""The files of a zip archive, one by one, each with its own fate.

Nothing is unpacked to disk here: callers read a member's stream and store it under its hash,
so no name from an archive ever becomes a path. Archives within archives are refused: a depth of
one is what people send, and every further one multiplies what a bomb unpacks to.
"""

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from pipeline.errors import RefusalCode, RefusedError
from pipeline.files.archive_checks import check_directory, check_name, name_of, shown_name
from pipeline.files.sniff import is_junk

_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # a first entry, or none at all
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # APPNOTE 4.4.4: file, strong, and the directory itself
# Not bzip2 and LZMA: the library unpacks whatever a block of them holds at once, and a few bytes
# may hold gigabytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NESTED = "it is a zip archive inside a zip archive"
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

    name: safe to show, unique within the archive. refusal: why it must not be
    opened, None where it may be. size: bytes, unpacked, as the archive states.
    """

    name: str
    refusal: RefusedError | None
    size: int
    _archive: zipfile.ZipFile
    _info: zipfile.ZipInfo

    def open(self) -> BinaryIO:
        """Return a stream of the content, valid until the next member is asked for.

        Raises RefusedError, also from `read`, where the member is damaged or refused.
        """
        if self.refusal:
            raise self.refusal
        try:
            content = _Stream(self._archive.open(self._info))
        except _READ_ERRORS:
            raise RefusedError(RefusalCode.DAMAGED, "the archive is damaged at this file") from None
        if is_archive(content.begin()):
            content.close()
            raise RefusedError(RefusalCode.ARCHIVE, _NESTED)
        return cast(BinaryIO, content)


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
    empty, beyond `limits`, with entries that share bytes (as bombs do), or with another archive in
    front of it, whose files would be lost.
    """
    with _open(source, limits) as archive:
        files = [
            info
            for info in archive.infolist()
            # (is_dir() of the library fails on an empty name)
            if not name_of(info).endswith(("/", "\\")) and not is_junk(name_of(info))
        ]
        _check_archive(archive, files, limits)
        yield from _members(archive, files, limits)


@contextmanager
def _open(source: Path | BinaryIO, limits: ArchiveLimits) -> Iterator[zipfile.ZipFile]:
    with ExitStack() as stack:
        stream = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        try:
            check_directory(stream, max_entries=2 * limits.max_files)  # folders and junk, too
            archive = stack.enter_context(zipfile.ZipFile(stream))
        except _READ_ERRORS:
            raise RefusedError(
                RefusalCode.DAMAGED, "the zip archive is damaged: its directory cannot be read"
            ) from None
        yield archive


def _members(
    archive: zipfile.ZipFile, files: list[zipfile.ZipInfo], limits: ArchiveLimits
) -> Iterator[Member]:
    used: set[str] = set()
    times: Counter[str] = Counter()
    for info in files:
        shown = name = shown_name(name_of(info))
        while name in used:  # the same name again is another file: none may be lost
            times[shown] += 1
            name = f"{shown} ({times[shown] + 1})"
        used.add(name)
        yield Member(name, _refusal(info, limits), info.file_size, archive, info)


def _check_archive(
    archive: zipfile.ZipFile, files: list[zipfile.ZipInfo], limits: ArchiveLimits
) -> None:
    if not files:
        raise RefusedError(RefusalCode.ARCHIVE, "the zip archive holds no files")
    if len(files) > limits.max_files:
        raise RefusedError(
            RefusalCode.ARCHIVE,
            f"the zip archive holds {len(files)} files, expected at most {limits.max_files}",
        )
    if sum(info.file_size for info in files) > limits.max_bytes:
        raise RefusedError(
            RefusalCode.ARCHIVE, f"the zip archive unpacks to more than {limits.max_bytes} bytes"
        )
    if min(info.header_offset for info in archive.infolist()) > 0:
        # As in two archives behind each other, of which the library sees the second alone.
        raise RefusedError(
            RefusalCode.DAMAGED, "the zip archive is damaged: it begins with what it does not list"
        )
    if _overlap(archive):
        raise RefusedError(RefusalCode.DAMAGED, "the zip archive is damaged: its entries overlap")


def _overlap(archive: zipfile.ZipFile) -> bool:
    """Whether entries share bytes; each is at least its packed size away from the next."""
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    starts = [info.header_offset for info in infos[1:]] + [archive.start_dir]
    header = zipfile.sizeFileHeader  # type: ignore[attr-defined]
    return any(
        info.header_offset + header + info.compress_size > start
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
        return RefusedError(RefusalCode.ARCHIVE, "it is a link or another special file")
    if info.flag_bits & _ENCRYPTED:
        return RefusedError(RefusalCode.UNSUPPORTED, "it is encrypted")
    if info.compress_type not in _METHODS:
        return RefusedError(RefusalCode.UNSUPPORTED, "its compression method is not supported")
    if name_of(info).lower().endswith(".zip"):
        return RefusedError(RefusalCode.ARCHIVE, _NESTED)
    if info.file_size == 0:
        return RefusedError(RefusalCode.NOT_AN_IMAGE, "the file is empty")
    if info.file_size > limits.max_member_bytes:
        return RefusedError(
            RefusalCode.TOO_LARGE, f"it unpacks to more than {limits.max_member_bytes} bytes"
        )
    if info.file_size > limits.ratio_floor_bytes + limits.max_ratio * info.compress_size:
        return RefusedError(
            RefusalCode.TOO_LARGE, f"it unpacks to more than {limits.max_ratio:g} times its size"
        )
    return None


class _Stream(io.RawIOBase):
    """A member's content; what goes wrong while reading is the file's fault, in plain words."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._begun = b""

    def readable(self) -> bool:
        return True

    def begin(self) -> bytes:
        """Its first bytes, which are read again afterwards."""
        self._begun = self._read(4)
        return self._begun

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            begun, self._begun = self._begun, b""
            return begun + self._read(-1)
        begun, self._begun = self._begun[:size], self._begun[size:]
        return begun + self._read(size - len(begun))

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except _READ_ERRORS:
            raise RefusedError(RefusalCode.DAMAGED, "the archive is damaged at this file") from None
