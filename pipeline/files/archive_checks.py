"""A zip's central directory, measured before it is read: it may be larger than the memory.

Names inside archives: whether one may be used, and how it is shown.
"""

import re
import struct
import zipfile
import zlib
from typing import BinaryIO

from pipeline.errors import RefusalCode, RefusedError
from pipeline.text import readable

MAX_BYTES = 64 * 2**20  # 200,000 entries with names of 300 bytes
# Extra fields hold times, owners and long sizes: some 30 bytes. The library takes one apart in time
# that grows with the square of its length.
MAX_EXTRA_BYTES = 1024
MAX_EXTRAS_BYTES = 16 * 2**20  # of all entries together
# APPNOTE 4.3.12: lengths of name, extra field and comment stand at 28 in each entry's 46 bytes.
_ENTRY_BYTES = 46
_LENGTHS = struct.Struct("<28xHHH")
_SIZE, _SIGNATURE, _LOCATION = 5, 0, 9  # in the library's list of the end record
_ZIP64 = b"PK\x06\x06"
_ZIP64_BYTES = 56 + 20  # its end record and the locator behind it


def check_directory(stream: BinaryIO, *, max_entries: int) -> None:
    """Raise RefusedError for a directory that takes too much time or memory to read.

    What is damaged passes: whoever reads it will say so. The library's own search for the end
    record is used, so that both look at the same directory.
    """
    end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]
    if end is None:
        return
    size = end[_SIZE]
    if size > MAX_BYTES:
        raise RefusedError(
            RefusalCode.ARCHIVE,
            f"the zip archive's directory is larger than {MAX_BYTES // 2**20} MiB",
        )
    start = end[_LOCATION] - size - (_ZIP64_BYTES if end[_SIGNATURE] == _ZIP64 else 0)
    if start >= 0:
        stream.seek(start)
        _count(stream.read(size), max_entries)


def _count(directory: bytes, max_entries: int) -> None:
    place = entries = extras = 0
    while place + _ENTRY_BYTES <= len(directory):
        name, extra, comment = _LENGTHS.unpack_from(directory, place)
        place += _ENTRY_BYTES + name + extra + comment
        entries += 1
        extras += extra
        if extra > MAX_EXTRA_BYTES or extras > MAX_EXTRAS_BYTES:
            raise RefusedError(
                RefusalCode.ARCHIVE, "the zip archive's directory holds too much besides names"
            )
        if entries > max_entries:
            raise RefusedError(
                RefusalCode.ARCHIVE, f"the zip archive lists more than {max_entries} entries"
            )


_LONGEST = 1000
_LONGEST_READ = 4 * _LONGEST  # a name may have 65,535 bytes, and an archive many of them


_UTF_8 = 0x800  # APPNOTE 4.4.4, bit 11
_UNICODE_PATH = 0x7075  # APPNOTE 4.6.9


def name_of(info: zipfile.ZipInfo) -> str:
    """Return the name as its packer meant it: UTF-8 where the entry says so in either of the two
    ways, else code page 437, which makes odd letters of every other encoding, but harmless ones.
    """
    if info.flag_bits & _UTF_8:
        return info.orig_filename
    return _unicode_path(info) or info.orig_filename


def check_name(name: str) -> None:
    """Raise RefusedError for a name that points outside the archive.

    Backslashes count as separators, as some packers write them.
    """
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        raise RefusedError(RefusalCode.ARCHIVE, "its name leads out of the archive ('..')")
    if parts[0] == "" or re.match(r"[A-Za-z]:", name):
        raise RefusedError(RefusalCode.ARCHIVE, "its name is an absolute path")
    if "\0" in name:
        raise RefusedError(RefusalCode.ARCHIVE, "its name holds a null character")


def shown_name(name: str) -> str:
    """Return a name that is safe to show and to store: plain characters, "/" between parts."""
    plain = readable(name[-_LONGEST_READ:].replace("\\", "/"))
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[-_LONGEST:] or "(no name)"


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    """The extra field with the name in UTF-8, where it was made for the name beside it."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind != _UNICODE_PATH or len(field) < 6 or field[0] != 1:
            continue
        if struct.unpack_from("<I", field, 1)[0] != zlib.crc32(_raw(info)):
            continue
        try:
            return field[5:].decode("utf-8")
        except UnicodeDecodeError:
            continue
    return None


def _raw(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("cp437")
