"""PNG of 16 bits with colours or opacity, of which Pillow keeps the high bytes only.

Its low bytes come out where it is told that they are the high ones.
"""

import io
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.levels import Levels, grey_levels, in_whole_levels, luminance, scaled
from pipeline.types import RangeRule
from pipeline.value_range import used_range

_POSSIBLE: Final = (0.0, 2.0**16 - 1)
_LOW_BYTES: Final = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
_GREY_AND_OPACITY: Final = "LA;16B"


def dark_levels(content: bytes, image: Image.Image) -> Levels | None:
    """Return the levels where values use a part of 16 bits; None where high bytes suffice.

    image: the opened `content`, not loaded yet.
    """
    tiles = getattr(image, "tile", None)
    raw = str(tiles[0].args) if tiles else ""  # Pillow's name of the samples
    if raw not in (*_LOW_BYTES, _GREY_AND_OPACITY):
        return None
    high = np.asarray(image)
    shown = luminance(high[..., :3]) * 256
    if used_range(shown, stored=_POSSIBLE).rule == RangeRule.BITS_STORED:
        return None
    samples = _samples(content, high, raw)
    grey = samples[..., 0] if raw == _GREY_AND_OPACITY else luminance(samples[..., :3])
    levels = grey_levels(grey, possible=_POSSIBLE)
    if samples.shape[2] in (2, 4):
        opacity = scaled(samples[..., -1], 2**16 - 1)
        levels = replace(levels, pixels=in_whole_levels(levels.pixels * opacity))
    return levels


def _samples(content: bytes, high: NDArray[np.uint8], raw: str) -> NDArray[Any]:
    """Return uint16 (H, W, 2 to 4)."""
    if raw == _GREY_AND_OPACITY:  # four bytes, which Pillow takes for four samples
        return _decoded(content, "RGBA").view(">u2").astype(np.uint16)
    return high.astype(np.uint16) << 8 | _decoded(content, _LOW_BYTES[raw])


def _decoded(content: bytes, raw: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        image.tile = [tile._replace(args=raw) for tile in image.tile]
        return np.asarray(image)
