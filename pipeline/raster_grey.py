"""Every colour mode of Pillow to grey in [0, 1]."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from pipeline.errors import RefusedError

_TIFF_PHOTOMETRIC, _TIFF_BITS = 262, 258
_WHITE_IS_ZERO = 0


def grey_picture(image: Image.Image) -> NDArray[np.float32]:
    """Return float32 (H, W) in [0, 1], 0 = black; colours become their luminance (BT.601).

    Integers scale by what their bits can hold. Transparent parts lie on black.
    """
    if image.mode.startswith("I;16"):
        return _sixteen_bit(image)
    if image.mode in ("I", "F"):
        return _unbounded(np.asarray(image))
    if image.mode == "LAB":
        return np.take(_LIGHTNESS_TO_GREY, np.asarray(image.getchannel(0)))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        return _on_black(image)
    return _eight_bit(image)


def _eight_bit(image: Image.Image) -> NDArray[np.float32]:
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode not in ("L", "YCbCr"):
        image = image.convert("L")
    grey = np.asarray(image)
    if grey.ndim == 3:
        grey = grey[..., 0]  # Y of YCbCr is the luminance
    return scaled(grey, 255)


def _on_black(image: Image.Image) -> NDArray[np.float32]:
    coloured = image.convert("RGBA")
    alpha = scaled(np.asarray(coloured.getchannel("A")), 255)
    return _eight_bit(coloured.convert("RGB")) * alpha


def _sixteen_bit(image: Image.Image) -> NDArray[np.float32]:
    """12-bit TIFF arrives in the same mode as 16-bit; neither is inverted by Pillow."""
    top, inverted = 2**16 - 1, False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        top = 2 ** image.tag_v2.get(_TIFF_BITS, (16,))[0] - 1
        inverted = image.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    grey = scaled(np.asarray(image), top)
    return 1 - grey if inverted else grey


def scaled(stored: NDArray[Any], top: int) -> NDArray[np.float32]:
    """Return float32 of the same shape in [0, 1]; stored: 0 to top."""
    values: NDArray[np.float32] = np.multiply(stored, np.float32(1 / top), dtype=np.float32)
    return values


def _unbounded(values: NDArray[Any]) -> NDArray[np.float32]:
    """32-bit integers and floats state no range: the least common one that holds them."""
    least, greatest = float(values.min()), float(values.max())  # no number where one is none
    if not (np.isfinite(least) and np.isfinite(greatest)) or least < 0:
        raise RefusedError("expected pixel values of 0 and more, received others")
    tops = (1, 2**8 - 1, 2**12 - 1, 2**16 - 1, 2**32 - 1)
    top = next((top for top in tops if greatest <= top), None)
    if top is None:
        raise RefusedError("expected pixel values of at most 32 bits, received greater ones")
    return scaled(values, top)


def _lightness_to_grey() -> NDArray[np.float32]:
    """CIE 1976 L* (0 to 100 in 0 to 255) to the grey level of sRGB (IEC 61966-2-1)."""
    lightness = np.arange(256) / 255 * 100
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    grey = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.clip(grey, 0, 1).astype(np.float32)


_LIGHTNESS_TO_GREY = _lightness_to_grey()
