"""A decoded image as PNG, from which the same grey levels are read again."""

import io
import struct
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.files.png import HEADER_END, chunk, range_chunk
from pipeline.types import DecodedImage, RangeRule

_MAX_DENSITY: Final = 400_000_000  # five times as much still fits 31 bits


def png_copy(image: DecodedImage) -> bytes:
    """Return a PNG of 8 or 16 bits, scaled to black and white as viewers expect.

    What says how its levels were chosen, and their number, is kept in a chunk of its own, so that
    a dark image is not taken for one of unused bits.
    """
    bits, stored = 8, image.levels
    if image.levels.dtype != np.uint8:
        bits = _used_bits(image.pixels)
        stored = _in_levels(image.pixels, bits)
    target = io.BytesIO()
    # Level 1 takes a quarter of the time on large images, and little more space.
    Image.fromarray(stored).save(target, "PNG", compress_level=1)
    png = target.getvalue()
    added = b""
    if bits > 8 or image.range_rule != RangeRule.BITS_STORED:
        added += range_chunk(bits, image.range_rule)
    if image.pixel_aspect != 1:
        density = Fraction(image.pixel_aspect).limit_denominator(_MAX_DENSITY)
        added += chunk(b"pHYs", struct.pack(">IIB", density.numerator, density.denominator, 0))
    return png[:HEADER_END] + added + png[HEADER_END:]


def _in_levels(pixels: NDArray[np.float32], bits: int) -> NDArray[Any]:
    """Row by row: all at once would take four times as much memory."""
    top, stored_top = 2**bits - 1, 255 if bits == 8 else 65535
    stored: NDArray[Any] = np.empty(pixels.shape, np.uint8 if bits == 8 else np.uint16)
    for row, values in zip(stored, pixels, strict=True):
        row[:] = np.rint(np.rint(values.astype(np.float64) * top) * (stored_top / top))
    return stored


def _used_bits(pixels: NDArray[np.float32]) -> int:
    """Return the fewest bits from 8 to 16 that hold the levels exactly, 16 if none do."""
    return next((bits for bits in range(8, 16) if _holds(pixels, 2**bits - 1)), 16)


def _holds(pixels: NDArray[np.float32], top: int) -> bool:
    for row in pixels:
        levels = row.astype(np.float64) * top
        # A float32 has 24 bits: that is how far a level may be from a whole number.
        if (np.abs(levels - np.rint(levels)) > 1e-4 + 3e-7 * levels).any():
            return False
    return True
