"""PNG streams (PNG specification, sections 5 and 7 to 11): stripping, and checks beyond Pillow's.

Pillow refuses what it cannot decode, but skips the checksums of pixel chunks, paints missing
rows black, and reads as many chunks as there are.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pipeline.errors import damaged, too_large
from pipeline.files.png_pixels import PALETTE, PngPixels, pixel_bytes
from pipeline.limits import Limits
from pipeline.types import RangeRule

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
HEADER_END: Final = len(SIGNATURE) + 25
# Of stored copies: how many bits of the samples were used, and what gave the range of values.
# Private, and not to be kept by programs that change pixels (section 5.4).
_RANGE: Final = b"raNG"
_READ: Final = (b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"IDAT")
# From which Pillow takes an orientation.
_MAY_ORIENT: Final = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_DENSITIES: Final = struct.Struct(">IIB")
_MAX_ASPECT: Final = 5  # beyond, densities are a mistake
_MAX_CHUNKS: Final = 50_000  # the largest images have some 16,000; each takes 20 µs


@dataclass(frozen=True)
class Png:
    """bodies: of the chunks that reading needs, by kind. bits, rule: see `_stated_levels`.

    metadata: the chunks that may state an orientation.
    """

    bodies: dict[bytes, list[bytes]]
    metadata: bytes
    pixels: PngPixels
    bits: int
    rule: RangeRule | None


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


def one_pixel_with_metadata(png: Png) -> bytes:
    """Return a PNG that states the same orientation, which Pillow reads only with all pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"".join((SIGNATURE, header, png.metadata, pixel, chunk(b"IEND", b"")))


def strip_png(png: Png) -> bytes:
    """Return the image without text, times, colour profiles and animation, pixels untouched.

    Bytes after the pixels' stream and rows after the last one, which no decoder shows, are
    dropped too. Raises RefusedError where pixels are damaged or missing.
    """
    bodies = png.bodies
    header = bodies[b"IHDR"][0]
    depth, colour_type = header[8:10]
    kept = [(b"IHDR", header)]
    if colour_type == PALETTE:
        kept += [(b"PLTE", body[: 3 << depth]) for body in bodies[b"PLTE"][-1:]]
    # Section 11.3.2: one sample of each colour, or one byte for each palette entry.
    if length := {0: 2, 2: 6, PALETTE: 1 << depth}.get(colour_type):
        kept += [(b"tRNS", body[:length]) for body in bodies[b"tRNS"][-1:]]
    kept += [
        (b"pHYs", densities) for body in bodies[b"pHYs"][-1:] for densities in _densities(body)
    ]
    if png.rule:
        kept.append((_RANGE, bytes([png.bits]) + png.rule.encode()))
    elif png.bits and depth == 16:
        kept.append((b"sBIT", bytes([png.bits])))
    if png.pixels.is_exact():
        kept += [(b"IDAT", body) for body in bodies[b"IDAT"]]
    else:
        rows = zlib.decompressobj().decompress(b"".join(bodies[b"IDAT"]), png.pixels.expected)
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


def _stated_levels(content: bytes) -> tuple[int, RangeRule | None]:
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
    """Return what `Png` reads from a stored copy. bits: 8 to 16."""
    return chunk(_RANGE, bytes([bits]) + rule.encode())


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", checksum)))


def read_png(content: bytes, limits: Limits) -> Png:
    """Return the parts of an image. Raises RefusedError where a chunk is damaged or missing."""
    if content[len(SIGNATURE) :][:8] != b"\0\0\0\rIHDR" or len(content) < HEADER_END:
        raise damaged("the PNG header is damaged")
    header = content[len(SIGNATURE) + 8 : HEADER_END - 4]
    columns, rows = struct.unpack(">II", header[:8])
    limits.check_size(rows, columns)  # before anything is inflated
    expected = pixel_bytes(header)
    bodies: dict[bytes, list[bytes]] = {kind: [] for kind in _READ}
    metadata = b""
    for kind, body in chunks(content):
        if kind in bodies:
            bodies[kind].append(content[body])
        elif kind in _MAY_ORIENT:
            metadata += content[body.start - 8 : body.stop + 4]
    if len(bodies[b"IHDR"]) > 1:
        raise damaged("the PNG data are damaged: they have two headers")
    pixels = PngPixels(bodies[b"IDAT"], expected)
    return Png(bodies, metadata, pixels, *_stated_levels(content))
