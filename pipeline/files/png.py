"""The chunks of a PNG stream, and the pixels in them (PNG specification, sections 5, 7 to 11)."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.errors import RefusalCode, RefusedError
from pipeline.limits import Limits

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
HEADER_END: Final = len(SIGNATURE) + 25
PALETTE: Final = 3  # colour type of pictures whose pixels are places in PLTE
_CHANNELS: Final = {0: 1, 2: 3, PALETTE: 1, 4: 2, 6: 4}
# The seven passes of an interlaced picture: first column and row, steps (section 8.2).
_ADAM_7: Final = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_LAST_FILTER: Final = 4  # section 9.2
_MAX_CHUNKS: Final = 50_000  # the largest pictures have some 16,000; each takes 20 µs
_PIECE_BYTES: Final = 2**20


@dataclass(frozen=True)
class Chunk:
    """`content[start:end]`, length and checksum included; the payload lies 8 to 4 bytes inside."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    columns: int
    rows: int
    depth: int
    colour_type: int
    is_interlaced: bool

    def row_bytes(self, columns: int) -> int:
        """Of one row once unpacked, its filter's number included."""
        return 1 + (columns * self.depth * _CHANNELS[self.colour_type] + 7) // 8

    def transparency_bytes(self) -> int:
        """The most that tRNS may hold (section 11.3.2); 0 where it has no place."""
        return {0: 2, 2: 6, PALETTE: 1 << self.depth}.get(self.colour_type, 0)

    def pixel_bytes(self) -> int:
        """Of all rows once unpacked."""
        if not self.is_interlaced:
            return self.rows * self.row_bytes(self.columns)
        total = 0
        for column, row, across, down in _ADAM_7:
            columns = max(0, -(-(self.columns - column) // across))
            total += max(0, -(-(self.rows - row) // down)) * self.row_bytes(columns) * (columns > 0)
        return total


def chunks(content: bytes) -> Iterator[Chunk]:
    """Yield the chunks up to and with IEND. Raises RefusedError where the stream is damaged.

    The decoder trusts the checksums of pixel chunks; we do not.
    """
    position = len(SIGNATURE)
    kind = b""
    for _ in range(_MAX_CHUNKS):
        length = int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(content):
            raise RefusedError(RefusalCode.DAMAGED, "the PNG data are cut short: no end chunk")
        checksum = int.from_bytes(content[end - 4 : end], "big")
        if zlib.crc32(memoryview(content)[position + 4 : end - 4]) != checksum:
            raise RefusedError(
                RefusalCode.DAMAGED, "the PNG data are damaged: a checksum does not match"
            )
        yield Chunk(kind, position, end)
        if kind == b"IEND":
            return
        position = end
    raise RefusedError(
        RefusalCode.TOO_LARGE, f"the PNG data come in more than {_MAX_CHUNKS} chunks"
    )


def read_header(content: bytes) -> Header:
    """Raises RefusedError unless the picture begins with a header that the standard allows."""
    start = len(SIGNATURE)
    if content[start : start + 8] != b"\0\0\0\rIHDR" or len(content) < HEADER_END:
        raise RefusedError(RefusalCode.DAMAGED, "the PNG header is damaged")
    columns, rows, depth, colour_type, _, _, interlace = struct.unpack(
        ">IIBBBBB", content[start + 8 : start + 21]
    )
    if colour_type not in _CHANNELS or depth not in (1, 2, 4, 8, 16) or interlace not in (0, 1):
        raise RefusedError(RefusalCode.DAMAGED, "the PNG header is damaged")
    return Header(columns, rows, depth, colour_type, is_interlaced=interlace == 1)


class PixelStream:
    """What is packed in the IDAT chunks: fed with their bodies, it counts what comes out.

    Decoders stop where the picture is whole, and fill up with black where it is not.
    """

    def __init__(self, header: Header) -> None:
        self._expected = header.pixel_bytes()
        self._stride = 0 if header.is_interlaced else header.row_bytes(header.columns)
        self._inflater = zlib.decompressobj()
        self._unpacked = 0
        self._has_more = False  # chunks behind the one with the stream's end

    def feed(self, body: bytes) -> None:
        self._has_more |= self._inflater.eof and bool(body)
        while body and not self._inflater.eof and self._unpacked <= self._expected:
            try:
                piece = self._inflater.decompress(body, _PIECE_BYTES)
            except zlib.error:
                raise RefusedError(
                    RefusalCode.DAMAGED, "the PNG data are damaged: they cannot be unpacked"
                ) from None
            self._check_filters(piece)
            self._unpacked += len(piece)
            body = self._inflater.unconsumed_tail

    def _check_filters(self, piece: bytes) -> None:
        if self._stride and self._unpacked + len(piece) <= self._expected:
            filters = piece[-self._unpacked % self._stride :: self._stride]
            if filters and max(filters) > _LAST_FILTER:
                raise RefusedError(
                    RefusalCode.DAMAGED, "the PNG data are damaged: a row's filter is unknown"
                )

    def check_whole(self) -> None:
        if self._unpacked < self._expected:
            raise RefusedError(
                RefusalCode.DAMAGED,
                f"the PNG data are cut short: expected {self._expected} bytes of pixels, "
                f"received {self._unpacked}",
            )

    @property
    def is_exact(self) -> bool:
        """Whether there is the picture and nothing else: no further rows, no bytes behind."""
        is_all = self._inflater.eof and not (self._inflater.unused_data or self._has_more)
        return is_all and self._unpacked == self._expected

    def packed_anew(self, bodies: bytes) -> bytes:
        """Return the picture's own rows. bodies: all that was fed."""
        rows = zlib.decompressobj().decompress(bodies, self._expected)
        return zlib.compress(rows, 1)


def read_pixels(content: bytes, limits: Limits) -> PixelStream:
    """Return what is known of the pixels. Raises RefusedError unless all of them are there."""
    header = read_header(content)
    limits.check_size(header.rows, header.columns)  # before anything is unpacked
    pixels = PixelStream(header)
    for one in chunks(content):
        if one.kind == b"IDAT":
            pixels.feed(content[one.start + 8 : one.end - 4])
        if one.kind == b"IHDR" and one.end > HEADER_END:
            raise RefusedError(
                RefusalCode.DAMAGED, "the PNG data are damaged: they have two headers"
            )
    pixels.check_whole()
    return pixels


def strip_png(content: bytes, limits: Limits) -> bytes:
    """Return the picture without text, times, colour profiles and animation, pixels untouched.

    So are bytes behind the pixels' stream and rows behind the last, which no decoder shows.
    Raises RefusedError like `read_pixels`.
    """
    header, pixels = read_header(content), read_pixels(content, limits)
    parts: dict[bytes, list[bytes]] = {kind: [] for kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT")}
    for one in chunks(content):
        if one.kind in parts:
            parts[one.kind].append(content[one.start + 8 : one.end - 4])
    kept = [SIGNATURE, chunk(b"IHDR", parts[b"IHDR"][0])]
    if header.colour_type == PALETTE and parts[b"PLTE"]:
        kept.append(chunk(b"PLTE", parts[b"PLTE"][-1][: 3 << header.depth]))
    if parts[b"tRNS"] and (length := header.transparency_bytes()):
        kept.append(chunk(b"tRNS", parts[b"tRNS"][-1][:length]))
    bodies = parts[b"IDAT"] if pixels.is_exact else [pixels.packed_anew(b"".join(parts[b"IDAT"]))]
    kept += [chunk(b"IDAT", body) for body in bodies]
    return b"".join([*kept, chunk(b"IEND", b"")])


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)
