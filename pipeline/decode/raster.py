"""PNG, JPEG, TIFF and similar formats to grey levels in [0, 1], from every mode of Pillow."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    IMAGELENGTH,
    IMAGEWIDTH,
    PHOTOMETRIC_INTERPRETATION,
    TiffImageFile,
)

from pipeline.errors import RefusedError, damaged, too_large, unsupported
from pipeline.files.jpeg import check_jpeg, read_luminance
from pipeline.files.jpeg_samples import read_precise
from pipeline.files.png import check_png
from pipeline.files.sniff import BMP, JPEG, JPEG2000, PNG, TIFF, WEBP
from pipeline.limits import Limits
from pipeline.types import DecodedImage

# Only these decoders may run: that of EPS, for one, starts Ghostscript.
_FORMATS = {
    **{PNG: "PNG", JPEG: "JPEG", TIFF: "TIFF"},
    **{BMP: "BMP", WEBP: "WEBP", JPEG2000: "JPEG2000"},
}
_WHITE_IS_ZERO = 0  # TIFF 6.0, PhotometricInterpretation

warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module="PIL", category=UserWarning)  # quotes metadata
logging.getLogger("PIL").setLevel(logging.CRITICAL)  # quotes EXIF values


def decode_raster(
    content: bytes,
    *,
    media_type: str,
    limits: Limits,
    minimum_size: int | None = None,
    is_checked: bool = False,
) -> DecodedImage:
    """Decode the first image of the file. Raises RefusedError.

    minimum_size: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which is cheaper, with
    at least this many pixels to a side. is_checked: the stream was checked before, as
    stripping its metadata does.
    """
    if media_type == PNG and not is_checked:
        check_png(content, limits)
    elif media_type == JPEG and not is_checked:
        check_jpeg(content, limits)
    if media_type == JPEG and (precise := read_precise(content)) is not None:
        samples, bits = precise
        return DecodedImage(_scaled(samples, 2**bits - 1), *samples.shape)
    with _opened(content, media_type, limits) as image:
        columns, rows = image.size
        if isinstance(image, TiffImageFile):  # its size is that displayed
            columns, rows = (int(image.tag_v2[tag]) for tag in (IMAGEWIDTH, IMAGELENGTH))
        limits.check_size(rows, columns)
        frames = int(getattr(image, "n_frames", 1))
        limits.check_frames(frames)
        grey = _read_jpeg(content, image, minimum_size) if media_type == JPEG else None
        if grey is None:
            grey = _grey_pixels(image)
        # Pillow's PNG reader loads the pixels to find EXIF data, and an error there would be lost:
        # so the orientation is read after the pixels.
        pixels = _turn_upright(grey, _orientation(image))
    notes = (f"first of {frames} frames read",) if frames > 1 else ()
    return DecodedImage(pixels, rows, columns, frames=frames, warnings=notes)


@contextmanager
def _opened(content: bytes, media_type: str, limits: Limits) -> Iterator[Image.Image]:
    """The image; errors while it is read become RefusedError."""
    name = _FORMATS[media_type]
    try:
        with Image.open(io.BytesIO(content), formats=[name]) as image:
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large(
            f"the image is too large: expected at most {limits.max_pixels} pixels"
        ) from None
    except UnidentifiedImageError:
        raise damaged(f"the {name} header is damaged") from None
    except MemoryError:
        raise too_large("decoding takes too much memory") from None
    except RefusedError:
        raise
    except Exception:
        # Any error of a decoder is the file's fault; its message may quote metadata.
        raise damaged(f"the {name} data are damaged or cut short") from None


def _read_jpeg(
    content: bytes, image: Image.Image, minimum_size: int | None
) -> NDArray[np.float32] | None:
    """Return None for rare kinds, which are left to Pillow."""
    scale = 1
    while minimum_size and scale < 8 and min(image.size) >= 2 * scale * minimum_size:
        scale *= 2
    luminance = read_luminance(content, scale=scale)
    if luminance is None or image.mode not in ("L", "RGB"):
        return None
    return _scaled(luminance, 255)


def read_orientation(content: bytes, media_type: str) -> int:
    """Return the EXIF orientation (1 to 8), 1 if the file cannot be opened."""
    try:
        with Image.open(io.BytesIO(content), formats=[_FORMATS[media_type]]) as image:
            return _orientation(image)
    except Exception:
        return 1


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation (2.3, tag 0x0112), 1 = upright if it cannot be parsed.

    Pillow turns TIFF upright itself.
    """
    if isinstance(image, TiffImageFile):
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _turn_upright(pixels: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Undo an EXIF orientation. pixels: (H, W); 5 to 8 swap the sides."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _grey_pixels(image: Image.Image) -> NDArray[np.float32]:
    """Return float32 (H, W) in [0, 1], 0 = black; of colours the luminance (BT.601).

    Integers scale by the greatest value of their bits. Transparent parts show black.
    """
    if image.mode.startswith("I;16"):
        return _sixteen_bit(image)
    if image.mode in ("I", "F"):
        return _unbounded(np.asarray(image))
    if image.mode == "LAB":
        return np.take(_LIGHTNESS_TO_GREY, np.asarray(image.getchannel(0)))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        coloured = image.convert("RGBA")  # shown on black
        alpha = _scaled(np.asarray(coloured.getchannel("A")), 255)
        return _eight_bit(coloured.convert("RGB")) * alpha
    return _eight_bit(image)


def _eight_bit(image: Image.Image) -> NDArray[np.float32]:
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode not in ("L", "YCbCr"):
        image = image.convert("L")
    grey = np.asarray(image)
    if grey.ndim == 3:
        grey = grey[..., 0]  # Y of YCbCr is the luminance
    return _scaled(grey, 255)


def _sixteen_bit(image: Image.Image) -> NDArray[np.float32]:
    """12-bit TIFF has the same mode as 16-bit; Pillow inverts neither."""
    top, inverted = 2**16 - 1, False
    if isinstance(image, TiffImageFile):
        top = 2 ** image.tag_v2.get(BITSPERSAMPLE, (16,))[0] - 1
        inverted = image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO
    grey = _scaled(np.asarray(image), top)
    return 1 - grey if inverted else grey


def _scaled(stored: NDArray[Any], top: int) -> NDArray[np.float32]:
    """Return float32 of the same shape in [0, 1]; stored: 0 to top."""
    values: NDArray[np.float32] = np.multiply(stored, np.float32(1 / top), dtype=np.float32)
    return values


def _unbounded(values: NDArray[Any]) -> NDArray[np.float32]:
    """32-bit integers and floats state no range: take the smallest common one that fits."""
    least, greatest = float(values.min()), float(values.max())  # NaN if any value is NaN
    if not (np.isfinite(least) and np.isfinite(greatest)) or least < 0:
        raise unsupported("expected finite pixel values of at least 0")
    tops = (1, 2**8 - 1, 2**12 - 1, 2**16 - 1, 2**32 - 1)
    top = next((top for top in tops if greatest <= top), None)
    if top is None:
        raise unsupported("expected pixel values of at most 32 bits")
    return _scaled(values, top)


def _lightness_to_grey() -> NDArray[np.float32]:
    """CIE 1976 L* (0 to 100 in 0 to 255) to the grey level of sRGB (IEC 61966-2-1)."""
    lightness = np.arange(256) / 255 * 100
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    grey = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.clip(grey, 0, 1).astype(np.float32)


_LIGHTNESS_TO_GREY = _lightness_to_grey()
