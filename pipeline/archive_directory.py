"""A zip's central directory, measured before it is read: it may be larger than the memory."""

import struct
import zipfile
from typing import BinaryIO

from pipeline.errors import RefusedError

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
        raise RefusedError(f"the zip archive's directory is larger than {MAX_BYTES // 2**20} MiB")
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
            raise RefusedError("the zip archive's directory holds too much besides names")
        if entries > max_entries:
            raise RefusedError(f"the zip archive lists more than {max_entries} entries")
