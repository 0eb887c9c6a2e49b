"""JPEG and JPEG-LS streams (ITU-T T.81 annex B, T.87 annex C): segments, damage, luminance.

Luminance is decoded by simplejpeg. Pillow has the same decoder (libjpeg-turbo) and gives the
same values, but hides its warnings of lost data.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pipeline.errors import damaged, too_large
from pipeline.limits import Limits

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
APP0, APP1, APP2, APP14, APP15, COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_JPEG_LS_FRAME = 0xF7
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {_JPEG_LS_FRAME}  # T.81 B.1
_HUFFMAN_DCT = frozenset({0xC0, 0xC1, 0xC2})
_LOSSLESS = frozenset({0xC3, _JPEG_LS_FRAME})
# Progressive images have some ten, large ones fewer.
MAX_SCANS = 100
MAX_SCANS_OF_LARGEST = 10
_MAX_SEGMENTS = 20_000
# Segments that decoders need (T.81 table B.1, T.87 C.2): start, end, frames, scans, tables, restart
# interval, and the parameters of JPEG-LS.
NEEDED = _FRAMES | _STANDALONE | {0xC4, 0xCC, SOI, EOI, SOS, 0xDB, 0xDD, 0xF8}
# May follow entropy-coded data: tables, another scan, application segments, the end.
_AFTER_SCAN = frozenset({0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xD9, COM, *range(APP0, APP15 + 1)})

# T.81 B.1.1.5: in the coded data 0xFF is followed by 0 or is a restart marker.
# (Both patterns begin with a literal byte, so that the search runs at the speed of memchr.)
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
# T.87 C.1: in JPEG-LS it is followed by a byte below 0x80.
_LS_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]", re.DOTALL)

# libjpeg's warnings (jerror.h) of lost pixels, by whichever library includes it. Fewer than ten
# extraneous bytes are padding, as some cameras write it.
_LIBJPEG_ON_DAMAGE = re.compile(
    r"\d\d extraneous bytes before marker|premature end of data segment|bad Huffman code"
    r"|instead of RST|Premature end of JPEG file"
)
DAMAGED = "the JPEG data are damaged: parts of the image are lost"


@dataclass(frozen=True)
class Segment:
    """`content[start:end]`, with its marker; a scan's coded data belong to its SOS segment."""

    marker: int
    start: int
    end: int


@dataclass(frozen=True)
class Jpeg:
    """A stream whose segments, up to and with EOI, were found once for all that read it."""

    content: bytes
    segments: tuple[Segment, ...]

    @cached_property
    def header(self) -> "FrameHeader":
        """Raises RefusedError."""
        return _frame_header(self.content, iter(self.segments))

    def bodies(self, marker: int, prefix: bytes) -> list[bytes]:
        """Return what follows `prefix` in each segment of the kind that begins with it."""
        found = (one for one in self.segments if one.marker == marker)
        parts = (self.content[one.start + 4 : one.end] for one in found)
        return [part[len(prefix) :] for part in parts if part.startswith(prefix)]


def read_jpeg(content: bytes) -> Jpeg:
    """Find the segments. Raises RefusedError if the stream is damaged."""
    return Jpeg(content, tuple(_segments(content)))


def _segments(content: bytes) -> Iterator[Segment]:
    if content[:2] != b"\xff\xd8":
        raise damaged("the JPEG data do not begin with a start marker")
    yield Segment(SOI, 0, 2)
    position, coded = 2, _MARKER
    for _ in range(_MAX_SEGMENTS):
        segment = _segment(content, position, coded)
        yield segment
        if segment.marker == EOI:
            return
        if segment.marker == _JPEG_LS_FRAME:
            coded = _LS_MARKER
        position = segment.end
    raise too_large(f"the JPEG data have more than {_MAX_SEGMENTS} segments")


def reports_damage(warnings: str) -> bool:
    """Whether libjpeg's warnings report lost pixels."""
    return _LIBJPEG_ON_DAMAGE.search(warnings) is not None


@dataclass(frozen=True)
class FrameHeader:
    """T.81 B.2.2, and whether the components are YCbCr: None where the stream leaves it open.

    rows, columns: 0 where they are stated later (B.2.5).
    """

    marker: int
    precision: int
    rows: int
    columns: int
    components: int
    is_ybr: bool | None

    @property
    def is_lossless(self) -> bool:
        return self.marker in _LOSSLESS

    @property
    def is_jpeg_ls(self) -> bool:
        return self.marker == _JPEG_LS_FRAME

    @property
    def is_eight_bit_dct(self) -> bool:
        return self.marker in _HUFFMAN_DCT and self.precision == 8


def frame_header(content: bytes) -> FrameHeader:
    """Return the first frame header of the stream, which may be damaged after it.

    Raises RefusedError.
    """
    return _frame_header(content, _segments(content))


def _frame_header(content: bytes, found: Iterator[Segment]) -> FrameHeader:
    is_jfif, transform = False, None
    for segment in found:
        body = content[segment.start + 4 : segment.end]
        if segment.marker == APP0 and body.startswith(b"JFIF\0"):
            is_jfif = True
        elif segment.marker == APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            transform = body[11]
        elif segment.marker in _FRAMES and len(body) > 5 and len(body) >= 6 + 3 * body[5]:
            precision, rows, columns, count = struct.unpack(">BHHB", body[:6])
            is_ybr = _is_ybr(body[6 : 6 + 3 * count : 3], is_jfif=is_jfif, transform=transform)
            return FrameHeader(segment.marker, precision, rows, columns, count, is_ybr)
    raise damaged("the JPEG data are damaged: no frame header")


def _is_ybr(names: bytes, *, is_jfif: bool, transform: int | None) -> bool | None:
    """libjpeg's rule for three components, without its guess where nothing is stated."""
    if is_jfif:
        return True
    if transform is not None:
        return transform != 0
    return False if names.upper() == b"RGB" else None


def trim_jpeg(content: bytes) -> bytes:
    """Return the stream up to its end marker. Raises RefusedError if it is damaged."""
    return content[: read_jpeg(content).segments[-1].end]


def precision(content: bytes) -> int:
    """Return the stated bits of a sample. Raises RefusedError."""
    return frame_header(content).precision


def check_jpeg(jpeg: Jpeg, limits: Limits) -> None:
    """Raise RefusedError for a stream beyond the limits.

    Damage within coded data is left to `read_luminance`. Each scan covers all pixels, so the
    number of scans is bounded with the size.
    """
    pixels = scans = 0
    for segment in jpeg.segments:
        if segment.marker in _FRAMES:  # T.81 B.2.2: rows and columns stand at 5 and 7
            sides = jpeg.content[segment.start + 5 : segment.start + 9].ljust(4, b"\0")
            rows, columns = struct.unpack(">HH", sides)
            if rows and columns:
                limits.check_size(rows, columns)
            pixels = max(pixels, rows * columns)
        scans += segment.marker == SOS
        if scans > MAX_SCANS or scans * pixels > MAX_SCANS_OF_LARGEST * limits.max_pixels:
            raise too_large("the JPEG data have too many scans")


def _segment(content: bytes, position: int, coded: re.Pattern[bytes]) -> Segment:
    start = position
    while content[position : position + 2] == b"\xff\xff":  # fill bytes, T.81 B.1.1.2
        position += 1
    if position + 2 > len(content):
        raise damaged("the JPEG data are cut short: no end marker")
    if content[position] != 0xFF or content[position + 1] == 0:
        raise damaged("the JPEG data are damaged: a marker is missing")
    marker = content[position + 1]
    if marker == EOI or marker in _STANDALONE:
        return Segment(marker, start, position + 2)
    length = int.from_bytes(content[position + 2 : position + 4], "big")
    end = position + 2 + length
    if length < 2:
        raise damaged("the JPEG data are damaged: a segment has no length")
    return Segment(marker, start, _scan_end(content, end, coded) if marker == SOS else end)


def _scan_end(content: bytes, position: int, coded: re.Pattern[bytes]) -> int:
    match = coded.search(content, position)
    if match is None:
        raise damaged("the JPEG data are cut short: no end marker")
    if match[0][-1] not in _AFTER_SCAN:
        raise damaged("the JPEG data are damaged: unknown marker in the coded data")
    return match.start()


def read_luminance(jpeg: Jpeg, *, scale: int = 1) -> NDArray[np.uint8] | None:
    """Return uint8 (H, W), 0 = black, at 1/scale (1, 2, 4 or 8) of the sides, rounded up.

    None for rarer kinds, for instance 12 bits or lossless. Raises RefusedError if the coded
    data are noticeably damaged: of 150 radiographs each, all with 100 missing or 512 zeroed
    bytes, three in four with 64 random bytes, one in ten with a single flipped bit.
    """
    content = jpeg.content
    frames = [one for one in jpeg.segments if one.marker in _FRAMES]
    kinds = {(one.marker in _HUFFMAN_DCT, content[one.start + 4]) for one in frames}
    if kinds != {(True, 8)}:  # decoding lossless streams would overrun simplejpeg's buffer
        return None
    try:
        rows, columns, _, _ = simplejpeg.decode_jpeg_header(content)
        luminance: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            content,
            colorspace="GRAY",
            min_height=-(-rows // scale),
            min_width=-(-columns // scale),
            min_factor=scale,
            strict=True,
        )
    except ValueError as error:
        if reports_damage(str(error)):
            raise damaged(DAMAGED) from None
        return None  # the decoder does not support this stream or its metadata
    return luminance[..., 0]
