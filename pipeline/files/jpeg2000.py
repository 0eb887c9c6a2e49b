"""Code streams of JPEG 2000 and HTJ2K (ITU-T T.800 annex A): their size, end and comments."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import damaged
from pipeline.files.jpeg import Segment

_SOC, _SOT, _SOD, _EOC, _COM = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9, 0xFF64
_SIZ, _COD = 0xFF51, 0xFF52
_END = b"\xff\xd9"
_BARE = range(0xFF30, 0xFF40)  # markers without a length, A.1.3
_CONTAINER = b"\x00\x00\x00\x0cjP  "  # T.800 I.5.1
_DAMAGED = "the JPEG 2000 data are damaged: a marker is missing"
_CUT_SHORT = "the JPEG 2000 data are cut short: no end marker"
SIGNATURES = (_CONTAINER, b"\xff\x4f\xff\x51")


@dataclass(frozen=True)
class CodeStream:
    """What a code stream says of its samples: SIZ and COD, A.5.1 and A.6.1.

    has_colour_transform: decoders undo it and return RGB (annex G). is_high_throughput: HTJ2K.
    levels: how many lower resolutions it has, each of half the sides.
    """

    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool
    has_colour_transform: bool
    is_high_throughput: bool
    levels: int


def read_code_stream(content: bytes) -> CodeStream:
    """Read the main header. Raises RefusedError."""
    stream = code_stream_of(content)
    if _marker(stream, 0) != _SOC or _marker(stream, 2) != _SIZ or len(stream) < 43:
        raise damaged(_DAMAGED)
    main = (one for one in _header(stream, 2) if one.marker == _COD)
    coding = next((stream[one.start + 8 : one.start + 10] for one in main), b"")
    transforms, levels = (*coding, 0, 0)[:2]
    right, bottom, left, top = (_number(stream, at, 4) for at in (8, 12, 16, 20))
    return CodeStream(
        rows=bottom - top,
        columns=right - left,
        components=_number(stream, 40, 2),
        precision=(stream[42] & 0x7F) + 1,
        is_signed=stream[42] >= 0x80,
        has_colour_transform=transforms != 0,
        is_high_throughput=bool(_number(stream, 6, 2) & 0x4000),  # T.814 A.2
        levels=levels,
    )


def precision_2000(content: bytes) -> int:
    """Return the stated bits of a sample. Raises RefusedError."""
    return read_code_stream(content).precision


def trim_jpeg_2000(content: bytes) -> bytes:
    """Return the code stream up to its end marker, whatever stands behind it.

    A file format around it (T.800 annex I) is dropped with its boxes. Raises RefusedError if
    the stream is damaged or cut short; only its end marker may be missing.
    """
    stream = code_stream_of(content)
    if _marker(stream, 0) != _SOC:
        raise damaged(_DAMAGED)
    position = 2
    for segment in _header(stream, position):
        position = segment.end
    while _number(stream, position, 2) == _SOT:
        start, length = position, _number(stream, position + 6, 4)
        position = start + max(length, 14)
        if not _goes_on(stream, position):
            # A.4.2: a last tile part may state length 0; others state a wrong one. No coded data
            # contain 0xFFD9 (B.10.1).
            position = stream.find(_END, start)
    if position < 0 or position > len(stream):
        raise damaged(_CUT_SHORT)
    return stream[:position] + _END


def strip_jpeg_2000(content: bytes) -> bytes:
    """Return the code stream like `trim_jpeg_2000`, with comments overwritten by zeros.

    They are not cut out, since tile parts state their lengths. Raises RefusedError.
    """
    stream = bytearray(trim_jpeg_2000(content))
    position = _blank_comments(stream, 2)
    while _marker(stream, position) == _SOT:
        length = _number(stream, position + 6, 4)
        _blank_comments(stream, position + 12)
        if length == 0:
            break
        position += max(length, 14)
    return bytes(stream)


def _blank_comments(stream: bytearray, position: int) -> int:
    """Zero the comments of one header; return the position of the marker that ends it."""
    for segment in _header(stream, position):
        if segment.marker == _COM:  # A.9.2: two bytes state the kind of text
            stream[segment.start + 6 : segment.end] = bytes(segment.end - segment.start - 6)
        position = segment.end
    return position


def _goes_on(stream: bytes, position: int) -> bool:
    """Whether a tile part that ends here is followed by another, by the end, or by nothing."""
    is_last = position <= len(stream) and not stream[position:].strip(b"\0")
    return is_last or _number(stream, position, 2) in (_SOT, _EOC)


def _header(stream: bytes | bytearray, position: int) -> Iterator[Segment]:
    """Yield the segments of one header; what ends it follows the last one."""
    while (marker := _marker(stream, position)) not in (_SOT, _SOD, _EOC):
        end = position + 2
        if marker not in _BARE:
            length = _number(stream, end, 2)
            end += length
            if marker < 0xFF00 or length < 2:
                raise damaged(_DAMAGED)
            if end > len(stream):
                raise damaged(_CUT_SHORT)
        yield Segment(marker, position, end)
        position = end


def _marker(stream: bytes | bytearray, position: int) -> int:
    if position + 2 > len(stream):
        raise damaged(_CUT_SHORT)
    return _number(stream, position, 2)


def _number(stream: bytes | bytearray, position: int, size: int) -> int:
    return int.from_bytes(stream[position : position + size], "big")


def code_stream_of(content: bytes) -> bytes:
    """Return the body of the box `jp2c`, or `content` itself if it is a bare code stream."""
    if not content.startswith(_CONTAINER):
        return content
    position = 0
    while position + 8 <= len(content):
        length, start = _number(content, position, 4), position + 8
        kind = content[position + 4 : start]
        if length == 1:
            length, start = _number(content, start, 8), start + 8
        end = position + length if length else len(content)
        if kind == b"jp2c":
            return content[start:end]
        if end < start:
            break
        position = end
    raise damaged(_DAMAGED)
