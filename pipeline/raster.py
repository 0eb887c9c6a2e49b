"""PNG, JPEG, TIFF and their like to the picture that a person would see."""

import io
import logging
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from pipeline.errors import RefusedError
from pipeline.jpeg import check_jpeg
from pipeline.jpeg_luminance import read_luminance
from pipeline.limits import Limits
from pipeline.png import read_pixels
from pipeline.raster_grey import grey_picture, scaled
from pipeline.sniff import BMP, JPEG, JPEG2000, PNG, TIFF, WEBP
from pipeline.types import DecodedImage

# Only these decoders may run: EPS, for one, would start Ghostscript.
_FORMATS = {
    PNG: "PNG",
    JPEG: "JPEG",
    TIFF: "TIFF",
    BMP: "BMP",
    WEBP: "WEBP",
    JPEG2000: "JPEG2000",
}
_TIFF_COLUMNS, _TIFF_ROWS = 256, 257  # TIFF 6.0
_CHECKS: dict[str, Callable[[bytes, Limits], object]] = {PNG: read_pixels, JPEG: check_jpeg}

warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module="PIL", category=UserWarning)  # they quote metadata
logging.getLogger("PIL").setLevel(logging.CRITICAL)  # its records quote EXIF values


def decode_raster(
    content: bytes,
    *,
    media_type: str,
    limits: Limits,
    minimum_size: int | None = None,
    is_checked: bool = False,
) -> DecodedImage:
    """Decode the first picture of the file. Raises RefusedError.

    is_checked: its metadata were stripped before, which takes the same look at its stream.

    minimum_size: a JPEG may come back at 1/2, 1/4 or 1/8 of its size, whose decoding is
    cheaper, as long as both sides keep this many pixels.
    """
    if media_type in _CHECKS and not is_checked:
        _CHECKS[media_type](content, limits)
    name = _FORMATS[media_type]
    try:
        with Image.open(io.BytesIO(content), formats=[name]) as image:
            return _decode(image, content, media_type, limits, minimum_size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RefusedError(
            f"the picture is too large: expected at most {limits.max_pixels} pixels"
        ) from None
    except UnidentifiedImageError:
        raise RefusedError(f"the {name} header is damaged") from None
    except MemoryError:
        raise RefusedError("decoding takes too much memory") from None
    except RefusedError:
        raise
    except Exception:
        # Whatever a decoder stumbles over is the file's fault; its words are not ours.
        raise RefusedError(f"the {name} data are damaged or cut short") from None


def _decode(
    image: Image.Image,
    content: bytes,
    media_type: str,
    limits: Limits,
    minimum_size: int | None,
) -> DecodedImage:
    columns, rows = _stored_size(image)
    limits.check_size(rows, columns)
    frames = int(getattr(image, "n_frames", 1))
    limits.check_frames(frames)
    orientation = _orientation(image)
    grey = _read_jpeg(content, image, minimum_size) if media_type == JPEG else None
    return DecodedImage(
        pixels=turn_upright(grey_picture(image) if grey is None else grey, orientation),
        media_type=media_type,
        rows=rows,
        columns=columns,
        frames=frames,
        warnings=(f"first of {frames} frames read",) if frames > 1 else (),
    )


def _read_jpeg(
    content: bytes, image: Image.Image, minimum_size: int | None
) -> NDArray[np.float32] | None:
    """None: of another kind than nearly all, and left to Pillow."""
    scale = 1
    while minimum_size and scale < 8 and min(image.size) >= 2 * scale * minimum_size:
        scale *= 2
    luminance = read_luminance(content, scale=scale)
    if luminance is None or image.mode not in ("L", "RGB"):
        return None
    return scaled(luminance, 255)


def read_orientation(content: bytes, media_type: str) -> int:
    """Return the EXIF orientation (1 to 8), 1 where the file cannot be opened."""
    try:
        with Image.open(io.BytesIO(content), formats=[_FORMATS[media_type]]) as image:
            return _orientation(image)
    except Exception:
        return 1


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Return columns and rows as stored; Pillow states a TIFF's size as it will be shown."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(image.tag_v2[_TIFF_COLUMNS]), int(image.tag_v2[_TIFF_ROWS])
    return image.size


def _orientation(image: Image.Image) -> int:
    """EXIF 2.3, tag 0x0112: 1 to 8; what cannot be parsed counts as upright.

    Pillow turns a TIFF upright by itself.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return orientation if orientation in range(1, 9) else 1


def turn_upright(pixels: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Undo an EXIF orientation. pixels: (H, W); 5 to 8 exchange the sides."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
