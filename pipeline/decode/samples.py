"""Samples of a TIFF page that Pillow has no mode for: more than 8 bits, signed, floats, planes.

Pillow decompresses them all the same: it is given the page's strips or tiles as if each byte were
a pixel. Predictors (TIFF 6.0 section 14, Technical Note 3) are undone here.
"""

import io
import struct
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.levels import Levels, grey_levels, in_whole_levels, luminance
from pipeline.decode.tiff import (
    BITS,
    BLACK_IS_ZERO,
    COLUMNS,
    COMPRESSION,
    EXTRA_SAMPLES,
    FILL_ORDER,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    RGB,
    ROWS,
    ROWS_PER_STRIP,
    SAMPLE_FORMAT,
    SAMPLES,
    STRIP_BYTES,
    STRIP_OFFSETS,
    TILE_BYTES,
    TILE_COLUMNS,
    TILE_OFFSETS,
    TILE_ROWS,
    WHITE_IS_ZERO,
    Page,
)
from pipeline.errors import damaged, unsupported

_FORMATS: Final = {1: "u", 2: "i", 3: "f", 4: "u"}  # SampleFormat; 4 is undefined data
_NAMES: Final = {"u": "unsigned", "i": "signed", "f": "floating-point"}
_TYPES: Final = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
# Bits of samples that are stored without gaps. libtiff exchanges bytes of those of 24.
_PACKED: Final = frozenset(range(9, 32)) - {16}
_THREE_BYTES: Final = 24
_SEPARATE: Final = 2  # PlanarConfiguration
_HORIZONTAL, _FLOATING = 2, 3  # Predictor
_BYTEWISE: Final = (1, 5, 8, 32773, 32946, 34925, 50000)  # Compression that knows no samples
_MAX_SAMPLES: Final = 8
_OPACITY: Final = 2  # ExtraSamples; other values leave colours as they are
_PACKED_ROWS: Final = 64  # at a time: a byte for each bit would take too much memory
_LONG: Final = 4


@dataclass(frozen=True)
class _Layout:
    """How samples are stored. samples: in each pixel of a plane. width: columns of a tile or of
    the image; across: tiles side by side.
    """

    kind: str
    bits: int
    samples: int
    planes: int
    rows: int
    columns: int
    width: int
    across: int
    order: str


def is_grey_or_rgb(page: Page) -> bool:
    """Whether `levels_of_page` may read the page, as far as its colours and bits tell."""
    colours = page.integer(PHOTOMETRIC, BLACK_IS_ZERO)
    return page.integer(BITS, 1) >= 8 and colours in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)


def is_misread_by_pillow(page: Page) -> bool:
    """Whether samples are wide, signed or floats, or in planes of which Pillow shows the last."""
    is_wide = page.integer(BITS, 1) > 8 or page.integer(SAMPLE_FORMAT, 1) in (2, 3)
    is_planar = page.integer(PLANAR, 1) == _SEPARATE and page.integer(SAMPLES, 1) not in (1, 3, 4)
    return is_grey_or_rgb(page) and (is_wide or is_planar)


def levels_of_page(content: bytes, page: Page) -> Levels:
    """Return the grey levels of a page that `is_grey_or_rgb`. Raises RefusedError."""
    samples = read_samples(content, page)
    photometric = page.integer(PHOTOMETRIC, BLACK_IS_ZERO)
    colours = 3 if photometric == RGB else 1
    if samples.shape[2] < colours:
        raise damaged("the TIFF data are damaged or cut short")
    bits = page.integer(BITS, 1)
    possible = {
        "u": (0.0, 2.0**bits - 1),
        "i": (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1),
    }.get(samples.dtype.kind)
    levels = grey_levels(
        luminance(samples[..., :3]) if colours == 3 else samples[..., 0],
        possible=possible,
        stated=page.stated_range(),
        is_inverted=photometric == WHITE_IS_ZERO,
    )
    if page.integer(EXTRA_SAMPLES, 0) == _OPACITY and samples.shape[2] > colours and possible:
        opacity = samples[..., colours] / np.float32(possible[1])
        shown = np.multiply(levels.pixels, np.clip(opacity, 0, 1), dtype=np.float32)
        levels = replace(levels, pixels=in_whole_levels(shown))
    return levels


def read_samples(content: bytes, page: Page) -> NDArray[Any]:
    """Return (H, W, samples), integers or floats as stored. Raises RefusedError."""
    layout = _layout(page, "<" if content[:2] == b"II" else ">")
    is_tiled = TILE_OFFSETS in page.tags
    offsets = page.numbers(TILE_OFFSETS if is_tiled else STRIP_OFFSETS)
    counts = page.numbers(TILE_BYTES if is_tiled else STRIP_BYTES)
    each = len(offsets) // layout.planes
    if not each or len(counts) not in (0, len(offsets)):
        raise damaged("the TIFF data are damaged or cut short")
    planes = []
    for start in range(0, each * layout.planes, each):
        segments = offsets[start : start + each], counts[start : start + each]
        stored = _decompressed(content, page, layout, *segments)
        planes.append(_typed(stored, layout, page.integer(PREDICTOR, 1))[:, : layout.columns])
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def _layout(page: Page, order: str) -> _Layout:
    bits, formats = set(page.numbers(BITS, 1)), set(page.numbers(SAMPLE_FORMAT, 1))
    if len(bits) > 1 or len(formats) > 1:
        raise unsupported("the TIFF has samples of different types, which are not read")
    kind, size = _FORMATS.get(formats.pop(), ""), int(bits.pop())
    is_packed = kind == "u" and size in _PACKED and page.integer(PREDICTOR, 1) == 1
    if not (is_packed or f"{kind}{size / 8:g}" in _TYPES):
        name = _NAMES.get(kind, "complex")
        raise unsupported(f"the TIFF has {name} samples of {size} bits, which are not read")
    if page.integer(COMPRESSION, 1) not in _BYTEWISE:
        raise unsupported(f"the TIFF's compression does not allow samples of {size} bits")
    samples = page.integer(SAMPLES, 1)
    if not 1 <= samples <= _MAX_SAMPLES:
        raise unsupported(f"expected 1 to {_MAX_SAMPLES} samples a pixel, received {samples}")
    is_planar = samples > 1 and page.integer(PLANAR, 1) == _SEPARATE
    width = page.integer(TILE_COLUMNS, 0) if TILE_OFFSETS in page.tags else page.columns
    if not 0 < width <= page.columns + 4096:  # a tile may be wider than the image
        raise damaged("the TIFF data are damaged or cut short")
    return _Layout(
        kind=kind,
        bits=size,
        samples=1 if is_planar else samples,
        planes=samples if is_planar else 1,
        rows=page.rows,
        columns=page.columns,
        width=width,
        across=-(-page.columns // width),
        order=order,
    )


def _decompressed(
    content: bytes,
    page: Page,
    layout: _Layout,
    offsets: tuple[int, ...],
    counts: tuple[int, ...],
) -> NDArray[np.uint8]:
    """Return the bytes of all rows of a plane, tiles side by side."""
    row_bytes = -(-layout.width * layout.bits * layout.samples // 8)
    columns = layout.across * row_bytes
    segments: dict[int, int | tuple[int, ...]]
    if TILE_OFFSETS in page.tags:
        segments = {TILE_COLUMNS: row_bytes, TILE_ROWS: page.integer(TILE_ROWS, 0)}
        segments |= {TILE_OFFSETS: offsets, TILE_BYTES: counts}
    else:
        rows = min(page.integer(ROWS_PER_STRIP, layout.rows), layout.rows)
        segments = {ROWS_PER_STRIP: rows, STRIP_OFFSETS: offsets}
        segments[STRIP_BYTES] = counts or (rows * row_bytes,) * len(offsets)
    compression, fill_order = page.integer(COMPRESSION, 1), page.integer(FILL_ORDER, 1)
    tags: dict[int, Any] = {COLUMNS: columns, ROWS: layout.rows, BITS: 8, COMPRESSION: compression}
    tags |= {PHOTOMETRIC: BLACK_IS_ZERO, FILL_ORDER: fill_order, SAMPLES: 1, **segments}
    directory = _directory(tags, at=len(content))
    described = b"".join(
        (struct.pack("<2sHI", b"II", 42, len(content)), memoryview(content)[8:], directory)
    )
    with Image.open(io.BytesIO(described), formats=["TIFF"]) as image:
        del described
        return np.asarray(image)


def _directory(tags: dict[int, Any], *, at: int) -> bytes:
    """Return a directory of numbers of 32 bits, which is to stand at the offset `at`."""
    entries, values = [struct.pack("<H", len(tags))], b""
    at += 2 + 12 * len(tags) + 4
    for tag, value in sorted(tags.items()):
        numbers = value if isinstance(value, tuple) else (value,)
        body = struct.pack(f"<{len(numbers)}I", *numbers)
        entries.append(struct.pack("<HHI", tag, _LONG, len(numbers)))
        entries.append(body if len(body) == 4 else struct.pack("<I", at + len(values)))
        values += b"" if len(body) == 4 else body
    return b"".join((*entries, bytes(4), values))


def _typed(stored: NDArray[np.uint8], layout: _Layout, predictor: int) -> NDArray[Any]:
    """stored: uint8 (H, bytes of a row). Return (H, W, samples), W a multiple of `width`."""
    shape = (layout.rows, layout.across, layout.width, layout.samples)
    if layout.bits == _THREE_BYTES and layout.order == "<":
        stored = stored.reshape(layout.rows, -1, 3)[..., ::-1]
    if layout.bits in _PACKED:
        values = _unpacked(stored.reshape(layout.rows * layout.across, -1), layout)
        return values.reshape(layout.rows, -1, layout.samples)
    size = layout.bits // 8
    if predictor == _FLOATING and layout.kind == "f":
        summed = stored.reshape(layout.rows, layout.across, -1, layout.samples)
        summed = np.cumsum(summed, axis=2, dtype=np.uint8)
        planes = summed.reshape(layout.rows, layout.across, size, -1)  # the highest byte first
        values = np.ascontiguousarray(planes.swapaxes(2, 3)).view(f">f{size}")
    elif predictor == _HORIZONTAL:
        differences = stored.view(f"{layout.order}u{size}").reshape(shape)
        summed = np.cumsum(differences, axis=2, dtype=f"u{size}")
        values = summed.view(f"{layout.kind}{size}")
    else:
        values = stored.view(f"{layout.order}{layout.kind}{size}")
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return values.reshape(layout.rows, -1, layout.samples)


def _unpacked(stored: NDArray[np.uint8], layout: _Layout) -> NDArray[Any]:
    """Return integers (rows, samples) of rows whose samples follow each other without gaps."""
    count = layout.width * layout.samples
    values = np.empty((len(stored), count), np.uint16 if layout.bits < 16 else np.uint32)
    weights = 1 << np.arange(layout.bits - 1, -1, -1, dtype=values.dtype)
    for start in range(0, len(stored), _PACKED_ROWS):
        bits = np.unpackbits(stored[start : start + _PACKED_ROWS], axis=1)
        bits = bits[:, : count * layout.bits].reshape(-1, count, layout.bits)
        values[start : start + _PACKED_ROWS] = bits @ weights
    return values
