"""Mutations that know the file format, so that parsers get further than with flipped bytes.

Each takes a file and a source of choices, from hypothesis or from the fuzzer.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pipeline.files.jpeg import SOS, read_jpeg
from pipeline.files.png import SIGNATURE, chunks
from tests.support.data.builders import png_chunk

INTERESTING = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31)


T = TypeVar("T")


class Choices(Protocol):
    def number(self, most: int) -> int:
        """Return a number from 0 to `most`."""

    def content(self, most: int) -> bytes:
        """Return up to `most` bytes."""

    def pick(self, items: Sequence[T]) -> T:
        return items[self.number(len(items) - 1)]


Mutation = Callable[[bytes, Choices], bytes]


def bytes_changed(content: bytes, choices: Choices) -> bytes:
    """Replace bytes, half of the time near the beginning, where headers are."""
    reach = len(content) if choices.number(1) else min(len(content), 400)
    start = choices.number(reach)
    removed = choices.number(8)
    return content[:start] + choices.content(8) + content[start + removed :]


def cut(content: bytes, choices: Choices) -> bytes:
    return content[: choices.number(len(content))]


def _parts_changed(parts: list[bytes], choices: Choices) -> list[bytes]:
    """Drop, repeat or move one part."""
    if not parts:
        return parts
    place, other = choices.number(len(parts) - 1), choices.number(len(parts) - 1)
    part = parts[place]
    if choices.number(2) == 0:
        return parts[:place] + parts[place + 1 :]
    times = 1 + choices.number(3)
    return [*parts[:other], part * times, *parts[other:]]


def _damaged(part: bytes, choices: Choices) -> bytes:
    start = choices.number(len(part))
    new = choices.content(4)
    return part[:start] + new + part[start + len(new) :]


def png_chunks(content: bytes, choices: Choices) -> bytes:
    """Change bodies, kinds and order of chunks, with correct checksums."""
    found = [(kind, content[body]) for kind, body in chunks(content)]
    place = choices.number(len(found) - 1)
    kind, body = found[place]
    if choices.number(3) == 0:
        kind = choices.pick([b"PLTE", b"tRNS", b"acTL", b"fcTL", b"eXIf", b"iCCP", b"sBIT"])
    found[place] = (kind, _damaged(body, choices))
    parts = [png_chunk(kind, body) for kind, body in found]
    if choices.number(2) == 0:
        parts = _parts_changed(parts, choices)
    return SIGNATURE + b"".join(parts)


def jpeg_segments(content: bytes, choices: Choices) -> bytes:
    """Change bodies, markers and order of segments, with correct lengths."""
    parts = [content[one.start : one.end] for one in read_jpeg(content).segments]
    place = choices.number(len(parts) - 1)
    part = parts[place]
    if len(part) > 4:
        head = 4 if part[1] != SOS else 0
        parts[place] = part[:head] + _damaged(part[head:], choices)
    if choices.number(3) == 0:
        parts = _parts_changed(parts, choices)
    if choices.number(3) == 0:
        body = choices.content(20)
        marker = 0xC0 + choices.number(0x3E)
        parts.insert(1, struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body)
    return b"".join(parts)


def tiff_entries(content: bytes, choices: Choices) -> bytes:
    """Entries of the first directory (TIFF 6.0) with new tags, types, counts and values."""
    changed = bytearray(content)
    directory = int.from_bytes(content[4:8], "little")
    entries = int.from_bytes(content[directory : directory + 2], "little")
    for _ in range(1 + choices.number(2)):
        start = directory + 2 + 12 * choices.number(max(entries - 1, 0))
        field, size = choices.pick([(0, 2), (2, 2), (4, 4), (8, 4)])
        number = _interesting(choices) % 256**size
        changed[start + field : start + field + size] = number.to_bytes(size, "little")
    return bytes(changed)


def _interesting(choices: Choices) -> int:
    if choices.number(1):
        return choices.pick(INTERESTING)
    return 250 + choices.number(90)  # tags lie here


def dicom_elements(content: bytes, choices: Choices) -> bytes:
    """Elements of an explicit little endian file, added, lengthened, renamed or with a new VR."""
    changed = bytearray(content)
    tag, vr = choices.pick(TAGS), choices.pick(VRS)
    value = choices.pick(VALUES) or choices.content(12)
    value += b" " * (len(value) % 2)
    header = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    length = struct.pack("<xxI" if vr in LONG_VRS else "<H", len(value))
    element = header + length + value
    start = content.find(header[:4], 140)
    if start < 0:  # in front of the pixels, or of the last element
        start = max(content.rfind(b"\xe0\x7f\x10\x00"), 140)
        return bytes(changed[:start] + element + changed[start:])
    kind = choices.number(3)
    if kind == 0:
        changed[start + 4 : start + 6] = vr
    elif kind == 1:
        changed[start + 6 : start + 8] = _interesting(choices).to_bytes(8, "little")[:2]
    elif kind == 2:
        changed[start + 8 : start + 8 + len(value)] = value
    else:
        changed[start:start] = element
    return bytes(changed)


LONG_VRS = (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT", b"UC")
VRS = (*LONG_VRS, *b"US SS UL FD DS IS CS LO PN UI AT ZZ".split())
TAGS = (
    *(0x00080005, 0x00080016, 0x00080018, 0x00080060, 0x00100010, 0x00100020, 0x00101010),
    *(0x00180015, 0x00185101, 0x0020000D, 0x00200020, 0x00280002, 0x00280004, 0x00280006),
    *(0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280034, 0x00280100, 0x00280101),
    *(0x00280102, 0x00280103, 0x00280120, 0x00280121, 0x00280301, 0x00281050, 0x00281051),
    *(0x00281052, 0x00281053, 0x00281056, 0x00281101, 0x00281201, 0x00283000, 0x00283010),
    *(0x00283002, 0x00283006, 0x20500020, 0x60003000, 0x7FE00008, 0x7FE00009, 0x7FE00010),
    *(0x00091010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFCFFFC),
)
VALUES = (
    *(b"", b"0", b"1", b"-1", b"nan", b"inf", b"1e400", b"99999999999", b"1\\2\\3", b"\\", b"PA"),
    *(b"MONOCHROME1", b"PALETTE COLOR", b"YBR_FULL_422", b"RGB", b"CHEST", b"YES", b"\0\0"),
    *(b"\x01\x00", b"\xff\xff", b"\x00\x80", b"\x10\x00", b"\xff\xff\xff\xff"),
    *(
        b"1.2.840.10008.1.2",
        b"ISO 2022 IR 87",
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
    ),
)


def zip_fields(content: bytes, choices: Choices) -> bytes:
    """Change fields of a local header, a directory entry or the end record."""
    changed = bytearray(content)
    for _ in range(1 + choices.number(2)):
        signature, length = choices.pick(ZIP_RECORDS)
        places = [at for at in range(len(content)) if content.startswith(signature, at)]
        if places:
            start = choices.pick(places) + 4 + choices.number(length - 5)
            new = _interesting(choices).to_bytes(8, "little")[: 1 + choices.number(3)]
            changed[start : start + len(new)] = new
    return bytes(changed)


ZIP_RECORDS = ((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22))


def table_cells(content: bytes, choices: Choices) -> bytes:
    """Change cells of a label table to what spreadsheets and people write."""
    for _ in range(1 + choices.number(3)):
        places = [at for at, one in enumerate(content) if one in b",;\t\n"]
        start = choices.pick(places) + 1 if places else 0
        new = choices.pick(CELLS) or choices.content(6)
        content = content[:start] + new + content[start + choices.number(6) :]
    return content


CELLS = (
    *(b"", b'"', b'""', b'"a\nb"', b"\r", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b","),
    *(b"pneumonia", b"PNEUMONIA ", b"2", b"-1", b"label", b"file", b"sha256", b"time", b"patient"),
    *(b"0001-01-01", b"9999-12-31T23:59:59Z", b"2026-02-30", b"2026-03-29T02:30", b"now", b"1e9"),
    *("\u202e".encode(), "\ud800".encode("utf-8", "surrogatepass"), b"../../x", b"=1+1", b"'"),
)

BY_KIND: dict[str, tuple[Mutation, ...]] = {
    "png": (png_chunks, bytes_changed, cut),
    "jpeg": (jpeg_segments, bytes_changed, cut),
    "tiff": (tiff_entries, bytes_changed, cut),
    "dicom": (dicom_elements, bytes_changed, cut),
    "zip": (zip_fields, bytes_changed, cut),
    "csv": (table_cells, bytes_changed, cut),
}
OTHER: tuple[Mutation, ...] = (bytes_changed, cut)


def mutated(name: str, content: bytes, choices: Choices) -> bytes:
    """Apply one to three mutations; change plain bytes once the structure is broken.

    name: of the seed; it begins with the file's format.
    """
    kind = name.split()[0]
    mutations = BY_KIND.get(kind, OTHER) if name != "jpeg 2000" else OTHER
    for _ in range(1 + choices.number(2)):
        mutation = mutations[min(choices.number(len(mutations) + 1), len(mutations) - 1)]
        try:
            content = mutation(content, choices)
        except Exception:  # the previous mutation has broken the structure
            content = bytes_changed(content, choices)
    return content
