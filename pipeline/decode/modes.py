"""Grey levels of an image of any of Pillow's modes."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.levels import Levels, grey_levels, in_whole_levels, scaled
from pipeline.value_range import Range

_SIXTEEN_BITS = (0.0, 2.0**16 - 1)


def levels_of(image: Image.Image, *, stated: Range | None = None) -> Levels:
    """Return the grey levels; of colours the luminance (BT.601). Transparent parts show black.

    stated: the range that a file of 16 bits says its values have.
    """
    if image.mode.startswith("I;16"):
        return grey_levels(np.asarray(image), possible=_SIXTEEN_BITS, stated=stated)
    if image.mode == "LAB":
        return Levels(np.take(_LIGHTNESS_TO_GREY, np.asarray(image.getchannel(0))))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        coloured = image.convert("RGBA")  # shown on black
        alpha = np.asarray(coloured.getchannel("A"))
        grey = _eight_bit(coloured.convert("RGB"))
        if ((alpha > 0) & (alpha < 255)).any():
            return Levels(in_whole_levels(scaled(grey, 255) * scaled(alpha, 255)))
        return Levels(np.where(alpha, grey, np.uint8(0)))
    return Levels(_eight_bit(image))


def _eight_bit(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode not in ("L", "YCbCr"):
        image = image.convert("L")
    grey = np.asarray(image)
    if grey.ndim == 3:
        grey = grey[..., 0]  # Y of YCbCr is the luminance
    return grey


def _lightness_to_grey() -> NDArray[np.float32]:
    """CIE 1976 L* (0 to 100 in 0 to 255) to the grey level of sRGB (IEC 61966-2-1)."""
    lightness = np.arange(256) / 255 * 100
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    grey = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.clip(grey, 0, 1).astype(np.float32)


_LIGHTNESS_TO_GREY = _lightness_to_grey()
