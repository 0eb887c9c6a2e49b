"""Checks of a zip's central directory before zipfile reads it, and names inside archives."""

import re
import struct
import zipfile
import zlib
from contextlib import suppress
from typing import BinaryIO

from pipeline.errors import bad_archive
from pipeline.text import unique_name

MAX_BYTES = 64 * 2**20  # 200,000 entries with names of 300 bytes
# Extra fields hold times, owners and long sizes: some 30 bytes. zipfile parses one in time that
# grows with the square of its length.
MAX_EXTRA_BYTES = 1024
MAX_EXTRAS_BYTES = 16 * 2**20  # of all entries together
# APPNOTE 4.3.12: lengths of name, extra field and comment stand at 28 in each entry's 46 bytes.
_ENTRY_BYTES = 46
_LENGTHS = struct.Struct("<28xHHH")
_SIGNATURE, _SIZE, _LOCATION = 0, 5, 9  # in zipfile's list of the end record
_ZIP64 = b"PK\x06\x06"
_ZIP64_BYTES = 56 + 20  # its end record and the locator after it

_UTF_8 = 0x800  # APPNOTE 4.4.4, bit 11
_UNICODE_PATH = 0x7075  # APPNOTE 4.6.9
_MAX_NAME = 1000
_MAX_NAME_READ = 4 * _MAX_NAME  # a name may have 65,535 bytes, and an archive many of them


def check_directory(stream: BinaryIO, *, max_entries: int) -> None:
    """Raise RefusedError for a directory that takes too much time or memory to read.

    A damaged one passes: zipfile will refuse it. zipfile's own, private, search for the end
    record is used, so that both read the same directory; a test pins what it returns.
    """
    end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]
    if end is None:
        return
    size = end[_SIZE]
    if size > MAX_BYTES:
        raise bad_archive(f"the zip archive's directory is larger than {MAX_BYTES // 2**20} MiB")
    start = end[_LOCATION] - size - (_ZIP64_BYTES if end[_SIGNATURE] == _ZIP64 else 0)
    if start >= 0:
        stream.seek(start)
        _check_entries(stream.read(size), max_entries)


def _check_entries(directory: bytes, max_entries: int) -> None:
    position = entries = extras = 0
    while position + _ENTRY_BYTES <= len(directory):
        name, extra, comment = _LENGTHS.unpack_from(directory, position)
        position += _ENTRY_BYTES + name + extra + comment
        entries += 1
        extras += extra
        if extra > MAX_EXTRA_BYTES or extras > MAX_EXTRAS_BYTES:
            raise bad_archive("the zip archive's directory has too large extra fields")
        if entries > max_entries:
            raise bad_archive(f"the zip archive lists more than {max_entries} entries")


def name_of(info: zipfile.ZipInfo) -> str:
    """Return the name as its writer meant it: UTF-8 where marked in either way.

    Else code page 437, which shows other encodings as odd but harmless letters.
    """
    return (not info.flag_bits & _UTF_8 and _unicode_path(info)) or info.orig_filename


def check_name(name: str) -> None:
    """Raise RefusedError for a name that points outside the archive.

    Backslashes count as separators, as some packers write them.
    """
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        raise bad_archive("its name points outside the archive ('..')")
    if parts[0] == "" or re.match(r"[A-Za-z]:", name):
        raise bad_archive("its name is an absolute path")
    if "\0" in name:
        raise bad_archive("its name contains a null character")


def shown_name(name: str) -> str:
    """Return a name that is safe to show and to store: plain characters, "/" between parts."""
    plain = unique_name(name[-_MAX_NAME_READ:].replace("\\", "/"))
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[-_MAX_NAME:] or "(no name)"


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    """Return the name in UTF-8 from the extra field, if its checksum is that of the plain name."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind != _UNICODE_PATH or field[:1] != b"\1":
            continue
        checksum = zlib.crc32(info.orig_filename.encode("cp437"))
        if field[1:5] == checksum.to_bytes(4, "little"):
            with suppress(UnicodeDecodeError):
                return field[5:].decode("utf-8")
    return None
