"""TIFF files with any layout of samples and pages."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FORMATS = {"u": 1, "i": 2, "f": 3}
_DEFLATE = 8


def make_tiff(*pages: tuple[NDArray[Any], dict[str, Any]], order: str = "<") -> bytes:
    """Return a TIFF with a page for each (pixels, options of `_add_page`)."""
    content = bytearray(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 0))
    link = 4  # where the offset of the next directory belongs
    for pixels, options in pages:
        link = _add_page(content, link, pixels, order, **options)
    return bytes(content)


def one_page(pixels: NDArray[Any], *, order: str = "<", **options: Any) -> bytes:
    """See `_add_page`."""
    return make_tiff((pixels, options), order=order)


def _add_page(
    content: bytearray,
    link: int,
    pixels: NDArray[Any],
    order: str,
    *,
    photometric: int | None = None,
    is_deflated: bool = False,
    has_predictor: bool = False,
    tile: int | None = None,
    is_planar: bool = False,
    tags: dict[int, Any] | None = None,
    children: tuple[tuple[NDArray[Any], dict[str, Any]], ...] = (),
) -> int:
    """Add pixels (H, W) or (H, W, samples) and their directory; return where its link lies.

    tags: further ones: integers, pairs for rationals, floats, bytes for text. children: SubIFDs.
    """
    stored = pixels[..., None] if pixels.ndim == 2 else pixels
    rows, columns, samples = stored.shape
    size = tile or max(rows, columns)
    planes = [stored[..., one : one + 1] for one in range(samples)] if is_planar else [stored]
    offsets, counts = [], []
    for plane in planes:
        for row in range(0, rows, tile or 32):
            for column in range(0, columns, size):
                block = plane[row : row + (tile or 32), column : column + size]
                if tile:
                    missing = [(0, tile - block.shape[0]), (0, tile - block.shape[1]), (0, 0)]
                    block = np.pad(block, missing)
                data = _encoded(block, order, has_predictor=has_predictor)
                data = zlib.compress(data) if is_deflated else data
                offsets.append(len(content))
                counts.append(len(data))
                content += data
    entries: dict[int, Any] = {
        **{256: columns, 257: rows, 258: (8 * pixels.itemsize,) * samples, 277: samples},
        **{259: _DEFLATE if is_deflated else 1, 339: (_FORMATS[pixels.dtype.kind],) * samples},
        **{262: photometric if photometric is not None else (2 if samples >= 3 else 1)},
        **{284: 2 if is_planar else 1},
    }
    if has_predictor:
        entries[317] = 3 if pixels.dtype.kind == "f" else 2
    if tile:
        entries |= {322: tile, 323: tile, 324: tuple(offsets), 325: tuple(counts)}
    else:
        entries |= {278: 32, 273: tuple(offsets), 279: tuple(counts)}
    if children:
        entries[330] = tuple(_child(content, order, *child) for child in children)
    return _add_directory(content, link, entries | (tags or {}), order)


def _child(content: bytearray, order: str, pixels: NDArray[Any], options: dict[str, Any]) -> int:
    link = len(content)
    content += bytes(4)
    _add_page(content, link, pixels, order, **options)
    return int(struct.unpack_from(f"{order}I", content, link)[0])


def _encoded(block: NDArray[Any], order: str, *, has_predictor: bool) -> bytes:
    """Rows of samples; the predictors of TIFF 6.0 section 14 and its Technical Note 3."""
    kind, size = block.dtype.kind, block.dtype.itemsize
    if not has_predictor:
        return block.astype(f"{order}{kind}{size}").tobytes()
    if kind == "f":
        rows, columns, samples = block.shape
        raw = np.frombuffer(block.astype(f">f{size}").tobytes(), np.uint8)
        planes = raw.reshape(rows, columns * samples, size).swapaxes(1, 2)
        values = planes.reshape(rows, -1, samples)
    else:
        values = block.view(f"u{size}")
    differences = values.copy()
    differences[:, 1:] -= values[:, :-1]
    return differences.astype(f"{order}{differences.dtype.str[1:]}").tobytes()


def _add_directory(content: bytearray, link: int, entries: dict[int, Any], order: str) -> int:
    content += b"\0" * (len(content) % 2)
    packed = []
    for tag, value in sorted(entries.items()):
        kind, count, data = _value(value, order)
        if len(data) > 4:
            offset = len(content)
            content += data + b"\0" * (len(data) % 2)
            data = struct.pack(f"{order}I", offset)
        packed.append(struct.pack(f"{order}HHI", tag, kind, count) + data.ljust(4, b"\0"))
    struct.pack_into(f"{order}I", content, link, len(content))
    content += struct.pack(f"{order}H", len(packed)) + b"".join(packed) + bytes(4)
    return len(content) - 4


def _value(value: Any, order: str) -> tuple[int, int, bytes]:
    """Return type, count and bytes: text, DOUBLE, RATIONAL from a Fraction-like, LONG."""
    if isinstance(value, bytes):
        return 2, len(value), value
    if isinstance(value, float):
        return 12, 1, struct.pack(f"{order}d", value)
    if isinstance(value, list):  # numerator and denominator
        return 5, 1, struct.pack(f"{order}2I", *value)
    numbers = value if isinstance(value, tuple) else (value,)
    return 4, len(numbers), struct.pack(f"{order}{len(numbers)}I", *numbers)
