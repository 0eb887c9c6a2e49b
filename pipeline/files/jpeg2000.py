"""Code streams of JPEG 2000 and HTJ2K (ITU-T T.800 annex A): comments and precision."""

from pipeline.errors import damaged

_SOC, _SOT, _SOD, _EOC, _COM = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9, 0xFF64
_SIZ, _PRECISION_AT = 0xFF51, 42  # of the first component
_BARE = range(0xFF30, 0xFF40)  # markers without a length, A.1.3
_CONTAINER = b"\x00\x00\x00\x0cjP  "  # T.800 I.5.1
_DAMAGED = "the JPEG 2000 data are damaged: a marker is missing"


def strip_jpeg_2000(content: bytes) -> bytes:
    """Return the code stream up to its end marker, with comments overwritten by zeros.

    They are not cut out, since tile parts state their lengths. A file format around the code
    stream (T.800 annex I) is dropped with its text boxes. Raises RefusedError.
    """
    stream = bytearray(_codestream(content))
    if _marker(stream, 0) != _SOC:
        raise damaged(_DAMAGED)
    position = _blank_comments(stream, 2)
    while _marker(stream, position) == _SOT:
        length = int.from_bytes(stream[position + 6 : position + 10], "big")
        _blank_comments(stream, position + 12)
        if length == 0:  # A.4.2: the last tile part, up to the end
            position = len(stream.rstrip(b"\0")) - 2
        else:
            position += max(length, 14)
    if _marker(stream, position) != _EOC:
        raise damaged("the JPEG 2000 data are cut short: no end marker")
    return bytes(stream[: position + 2])


def precision_2000(content: bytes) -> int:
    """Return the stated bits of a sample (A.5.1), 16 if there are none."""
    stream = bytearray(_codestream(content))
    if len(stream) < _PRECISION_AT + 1 or _marker(stream, 2) != _SIZ:
        return 16
    return (stream[_PRECISION_AT] & 0x7F) + 1


def _blank_comments(stream: bytearray, position: int) -> int:
    """Zero the comments of one header; return the position of the marker that ends it."""
    while (marker := _marker(stream, position)) not in (_SOT, _SOD, _EOC):
        if marker in _BARE:
            position += 2
            continue
        length = int.from_bytes(stream[position + 2 : position + 4], "big")
        if marker < 0xFF00 or length < 2 or position + 2 + length > len(stream):
            raise damaged(_DAMAGED)
        if marker == _COM:  # A.9.2: two bytes state the kind of text
            stream[position + 6 : position + 2 + length] = bytes(max(length - 4, 0))
        position += 2 + length
    return position


def _marker(stream: bytearray, position: int) -> int:
    if position + 2 > len(stream):
        raise damaged("the JPEG 2000 data are cut short: no end marker")
    return int.from_bytes(stream[position : position + 2], "big")


def _codestream(content: bytes) -> bytes:
    """Return the body of the box `jp2c`, or `content` itself if it is a bare code stream."""
    if not content.startswith(_CONTAINER):
        return content
    position = 0
    while position + 8 <= len(content):
        length, start = int.from_bytes(content[position : position + 4], "big"), position + 8
        kind = content[position + 4 : start]
        if length == 1:
            length, start = int.from_bytes(content[start : start + 8], "big"), start + 8
        end = position + length if length else len(content)
        if kind == b"jp2c":
            return content[start:end]
        if end < start:
            break
        position = end
    raise damaged(_DAMAGED)
