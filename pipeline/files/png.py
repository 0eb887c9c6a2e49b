"""PNG streams (PNG specification, sections 5 and 7 to 11): stripping, and checks beyond Pillow's.

Pillow refuses what it cannot decode, but skips the checksums of pixel chunks, paints missing
rows black, and reads as many chunks as there are.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from pipeline.errors import damaged, too_large
from pipeline.limits import Limits
from pipeline.types import RangeRule

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
HEADER_END: Final = len(SIGNATURE) + 25
_PALETTE: Final = 3  # colour type of images whose pixels are indices into PLTE
_CHANNELS: Final = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}  # by colour type
# First column and row, and steps, of the passes over an image (section 8.2).
_SINGLE_PASS: Final = ((0, 0, 1, 1),)
_ADAM_7: Final = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
# Of stored copies: how many bits of the samples were used, and what gave the range of values.
# Private, and not to be kept by programs that change pixels (section 5.4).
_RANGE: Final = b"raNG"
_READ: Final = (b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"IDAT")
_DENSITIES: Final = struct.Struct(">IIB")
_MAX_ASPECT: Final = 5  # beyond, densities are a mistake
_MAX_CHUNKS: Final = 50_000  # the largest images have some 16,000; each takes 20 µs
_PIECE_BYTES: Final = 2**20


def chunks(content: bytes) -> Iterator[tuple[bytes, slice]]:
    """Yield each chunk's kind, and where its body lies in `content`, up to and with IEND.

    Raises RefusedError where the stream is damaged.
    """
    position = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        kind = content[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        if end > len(content):
            raise damaged("the PNG data are cut short: no end chunk")
        checksum = int.from_bytes(content[end - 4 : end], "big")
        if zlib.crc32(memoryview(content)[position + 4 : end - 4]) != checksum:
            raise damaged("the PNG data are damaged: a checksum does not match")
        yield kind, slice(position + 8, end - 4)
        if kind == b"IEND":
            return
        position = end
    raise too_large(f"the PNG data have more than {_MAX_CHUNKS} chunks")


def strip_png(content: bytes, limits: Limits) -> bytes:
    """Return the image without text, times, colour profiles and animation, pixels untouched.

    Bytes after the pixels' stream and rows after the last one, which no decoder shows, are
    dropped too. Raises RefusedError like `check_png`.
    """
    bodies, is_exact, expected = check_png(content, limits)
    header = bodies[b"IHDR"][0]
    depth, colour_type = header[8:10]
    kept = [(b"IHDR", header)]
    if colour_type == _PALETTE:
        kept += [(b"PLTE", body[: 3 << depth]) for body in bodies[b"PLTE"][-1:]]
    # Section 11.3.2: one sample of each colour, or one byte for each palette entry.
    if length := {0: 2, 2: 6, _PALETTE: 1 << depth}.get(colour_type):
        kept += [(b"tRNS", body[:length]) for body in bodies[b"tRNS"][-1:]]
    kept += [
        (b"pHYs", densities) for body in bodies[b"pHYs"][-1:] for densities in _densities(body)
    ]
    bits, rule = stated_levels(content)
    if rule:
        kept.append((_RANGE, bytes([bits]) + rule.encode()))
    elif bits and depth == 16:
        kept.append((b"sBIT", bytes([bits])))
    if is_exact:
        kept += [(b"IDAT", body) for body in bodies[b"IDAT"]]
    else:
        rows = zlib.decompressobj().decompress(b"".join(bodies[b"IDAT"]), expected)
        kept.append((b"IDAT", zlib.compress(rows, 1)))
    return SIGNATURE + b"".join(chunk(kind, body) for kind, body in [*kept, (b"IEND", b"")])


def _densities(body: bytes) -> list[bytes]:
    """Return pHYs (section 11.3.4.3) without its unit, [] where pixels are square.

    Reduced: eight bytes as they are could be text.
    """
    if len(body) != _DENSITIES.size:
        return []
    across, down, _ = _DENSITIES.unpack(body)
    if across == down or not 1 / _MAX_ASPECT <= across / max(down, 1) <= _MAX_ASPECT:
        return []
    ratio = Fraction(across, down).limit_denominator(2**16)
    return [_DENSITIES.pack(ratio.numerator, ratio.denominator, 0)]


def stated_levels(content: bytes) -> tuple[int, RangeRule | None]:
    """Return the significant bits of a grey image (sBIT, section 11.3.2.4), 0 if not stated.

    And, of a stored copy, what gave the range of its values.
    """
    bits, rule, position = 0, None, len(SIGNATURE)
    while (kind := content[position + 4 : position + 8]) not in (b"IDAT", b""):
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        body = content[position + 8 : end - 4]
        if kind == b"sBIT" and len(body) == 1 and not rule:
            bits = body[0]
        elif kind == _RANGE and body[1:].decode("latin-1") in set(RangeRule) and 8 <= body[0] <= 16:
            bits, rule = body[0], RangeRule(body[1:].decode())
        position = end
    return (bits if 8 <= bits <= 16 else 0), rule


def range_chunk(bits: int, rule: RangeRule) -> bytes:
    """Return what `stated_levels` reads from a stored copy. bits: 8 to 16."""
    return chunk(_RANGE, bytes([bits]) + rule.encode())


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", checksum)))


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


def check_png(content: bytes, limits: Limits) -> tuple[dict[bytes, list[bytes]], bool, int]:
    """Return the bodies of the image's chunks by kind, whether IDAT is exact, and its bytes.

    Exact: its stream inflates to all pixels and nothing else, in the returned number of bytes.
    Raises RefusedError unless the stream is undamaged and has every pixel that it states.
    """
    if content[len(SIGNATURE) :][:8] != b"\0\0\0\rIHDR" or len(content) < HEADER_END:
        raise damaged("the PNG header is damaged")
    header = content[len(SIGNATURE) + 8 : HEADER_END - 4]
    columns, rows = struct.unpack(">II", header[:8])
    limits.check_size(rows, columns)  # before anything is inflated
    expected = pixel_bytes(header)
    bodies: dict[bytes, list[bytes]] = {kind: [] for kind in _READ}
    for kind, body in chunks(content):
        if kind in bodies:
            bodies[kind].append(content[body])
    if len(bodies[b"IHDR"]) > 1:
        raise damaged("the PNG data are damaged: they have two headers")
    return bodies, _is_exact(bodies[b"IDAT"], expected), expected


def _is_exact(bodies: Sequence[bytes], expected: int) -> bool:
    """Inflate the pixels in pieces. Raises RefusedError where there are fewer than expected."""
    inflater, inflated, has_more = zlib.decompressobj(), 0, False
    for body in bodies:
        has_more |= inflater.eof and bool(body)
        rest = body
        while rest and not inflater.eof and inflated <= expected:
            try:
                inflated += len(inflater.decompress(rest, _PIECE_BYTES))
            except zlib.error:
                raise damaged("the PNG data are damaged: they cannot be inflated") from None
            rest = inflater.unconsumed_tail
    if inflated < expected:
        raise damaged(
            f"the PNG data are cut short: expected {expected} bytes of pixels, received {inflated}"
        )
    return inflated == expected and inflater.eof and not inflater.unused_data and not has_more
