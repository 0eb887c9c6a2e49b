"""Names inside archives: whether one may be used, and how it is shown."""

import re
import struct
import zipfile
import zlib

from pipeline.errors import RefusedError
from pipeline.readable import readable

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
        raise RefusedError("its name leads out of the archive ('..')")
    if parts[0] == "" or re.match(r"[A-Za-z]:", name):
        raise RefusedError("its name is an absolute path")
    if "\0" in name:
        raise RefusedError("its name holds a null character")


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
