"""The pixels of a PNG (PNG specification, sections 7 to 10), inflated once for all purposes."""

import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.errors import damaged

PALETTE: Final = 3  # colour type of images whose pixels are indices into PLTE
_CHANNELS: Final = {0: 1, 2: 3, PALETTE: 1, 4: 2, 6: 4}  # by colour type
# First column and row, and steps, of the passes over an image (section 8.2).
_SINGLE_PASS: Final = ((0, 0, 1, 1),)
_ADAM_7: Final = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_BLOCK_BYTES: Final = 2**16 - 1  # RFC 1951, 3.2.4


class PngPixels:
    """The stream in IDAT chunks, inflated and checked while a decoder reads it.

    The decoder gets blocks that are stored instead of compressed, which are only copied to
    inflate them again. expected: the bytes of all pixels, once inflated.
    """

    def __init__(self, bodies: Sequence[bytes], expected: int) -> None:
        self.expected = expected
        self._bodies = bodies
        self._is_exact = False
        self._blocks = self._stored_blocks()

    def read(self, read_bytes: int) -> bytes:
        """Return the next bytes of a stream with exactly the expected pixels, at its end b"".

        For Pillow, which takes more or fewer bytes than it asks for. Raises RefusedError where the
        stream cannot be inflated or has fewer pixels.
        """
        return next(self._blocks, b"")

    def is_exact(self) -> bool:
        """Whether the stream has the pixels and nothing else. Raises RefusedError like `read`."""
        deque(self._blocks, maxlen=0)  # what no decoder has read
        return self._is_exact

    def _stored_blocks(self) -> Iterator[bytes]:
        """RFC 1950 and 1951."""
        yield b"\x78\x01"
        checksum, rest = 1, self.expected
        for piece in self._inflated():
            block = piece[:rest]
            rest -= len(block)
            checksum = zlib.adler32(block, checksum)
            yield struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF) + block
        yield b"\x01\0\0\xff\xff" + checksum.to_bytes(4, "big")

    def _inflated(self) -> Iterator[bytes]:
        """Yield pieces of the pixels, and no more than one that follows them."""
        inflater, inflated, has_more = zlib.decompressobj(), 0, False
        for packed in self._packed():
            has_more |= inflater.eof
            while packed and not inflater.eof and inflated <= self.expected:
                try:
                    piece = inflater.decompress(packed, _BLOCK_BYTES)
                except zlib.error:
                    raise damaged("the PNG data are damaged: they cannot be inflated") from None
                inflated += len(piece)
                yield piece
                packed = inflater.unconsumed_tail
        if inflated < self.expected:
            raise damaged(
                f"the PNG data are cut short: expected {self.expected} bytes of pixels, "
                f"received {inflated}"
            )
        is_whole = inflater.eof and inflated == self.expected
        self._is_exact = is_whole and not inflater.unused_data and not has_more

    def _packed(self) -> Iterator[bytes]:
        """In small parts: what is left of one is copied for each piece."""
        for body in self._bodies:
            for start in range(0, len(body), _BLOCK_BYTES):
                yield body[start : start + _BLOCK_BYTES]


def pixel_bytes(header: bytes) -> int:
    """Return the bytes of all rows once inflated, filter types included. header: IHDR's body.

    Raises RefusedError for a colour type that does not exist.
    """
    columns, rows, depth, colour_type, _, _, interlace = struct.unpack(">IIBBBBB", header)
    if colour_type not in _CHANNELS:
        raise damaged("the PNG header is damaged")
    total = 0
    for column, row, across, down in _ADAM_7 if interlace else _SINGLE_PASS:
        if width := len(range(column, columns, across)):  # a pass without columns has no rows
            row_bytes = 1 + (width * depth * _CHANNELS[colour_type] + 7) // 8
            total += len(range(row, rows, down)) * row_bytes
    return total
