"""PNG, JPEG, TIFF and similar formats to grey levels in [0, 1]."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.decode.levels import Levels, copied_levels, grey_levels, scaled
from pipeline.decode.modes import levels_of
from pipeline.decode.png_samples import dark_levels
from pipeline.decode.samples import is_grey_or_rgb, is_misread_by_pillow, levels_of_page
from pipeline.decode.tiff import (
    ORIENTATION,
    Page,
    find_film,
    starting_with,
)
from pipeline.errors import RefusedError, damaged, too_large, unsupported
from pipeline.files.jpeg import check_jpeg, read_luminance
from pipeline.files.jpeg_samples import read_precise
from pipeline.files.png import check_png, stated_levels
from pipeline.files.sniff import BMP, JPEG, JPEG2000, PNG, TIFF, WEBP
from pipeline.limits import Limits
from pipeline.types import DecodedImage

# Only these decoders may run: that of EPS, for one, starts Ghostscript.
_FORMATS = {
    **{PNG: "PNG", JPEG: "JPEG", TIFF: "TIFF"},
    **{BMP: "BMP", WEBP: "WEBP", JPEG2000: "JPEG2000"},
}
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap the sides
_ASPECTS = (0.2, 5.0)  # beyond, densities are a mistake
_ROUNDED = 0.01  # an aspect this close to 1 is one of rounded densities

# `Limits` bounds the pixels before any are decoded. Samples of TIFF are decoded as bytes, of which
# there are more.
Image.MAX_IMAGE_PIXELS = None
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
    with _refusing_errors(media_type):
        if media_type == TIFF:
            return _read_tiff(content, limits)
        if media_type == JPEG and (precise := read_precise(content)) is not None:
            samples, bits = precise
            levels = grey_levels(samples, possible=(0, 2**bits - 1))
            return _image(levels, *samples.shape)
        with Image.open(io.BytesIO(content), formats=[_FORMATS[media_type]]) as image:
            columns, rows = image.size
            limits.check_size(rows, columns)
            frames = int(getattr(image, "n_frames", 1))
            limits.check_frames(frames)
            levels = _levels(content, image, media_type, minimum_size)
            # Pillow's PNG reader loads the pixels to find EXIF data, and an error there would be
            # lost: so the orientation is read after the pixels.
            orientation = _orientation(image)
            aspect = _pixel_aspect(*_density(image), orientation)
    levels = replace(levels, pixels=_turn_upright(levels.pixels, orientation))
    return _image(levels, rows, columns, frames=frames, aspect=aspect)


def _image(
    levels: Levels, rows: int, columns: int, *, frames: int = 1, aspect: float = 1.0
) -> DecodedImage:
    notes = (f"first of {frames} frames read",) if frames > 1 else ()
    return DecodedImage(
        levels.pixels,
        rows,
        columns,
        frames=frames,
        warnings=notes + levels.warnings,
        range_rule=levels.rule,
        pixel_aspect=aspect,
    )


def _read_tiff(content: bytes, limits: Limits) -> DecodedImage:
    page, frames = find_film(content, limits)
    limits.check_size(page.rows, page.columns)
    orientation = page.integer(ORIENTATION, 1)
    levels = None if is_misread_by_pillow(page) else _levels_by_pillow(content, page)
    if levels is None:
        if not is_grey_or_rgb(page):
            raise unsupported("the TIFF's layout of samples is not supported")
        levels = levels_of_page(content, page)
        levels = replace(levels, pixels=_turn_upright(levels.pixels, orientation))
    aspect = _pixel_aspect(*page.densities, orientation)
    return _image(levels, page.rows, page.columns, frames=frames, aspect=aspect)


def _levels_by_pillow(content: bytes, page: Page) -> Levels | None:
    """Return the levels of an upright image, None for a layout that Pillow does not know."""
    try:
        with Image.open(io.BytesIO(starting_with(content, page)), formats=["TIFF"]) as image:
            return levels_of(image)
    except UnidentifiedImageError:
        return None


def _levels(
    content: bytes, image: Image.Image, media_type: str, minimum_size: int | None
) -> Levels:
    if media_type == JPEG:
        grey = _read_jpeg(content, image, minimum_size)
        return levels_of(image) if grey is None else Levels(grey)
    if media_type == PNG:
        bits, rule = stated_levels(content)
        if rule and image.mode in ("L", "I;16"):
            return copied_levels(np.asarray(image), bits=bits, rule=rule)
        if levels := dark_levels(content, image):
            return levels
        return levels_of(image, stated=(0, 2**bits - 1) if bits else None)
    return levels_of(image)


@contextmanager
def _refusing_errors(media_type: str) -> Iterator[None]:
    """Errors while an image is read become RefusedError."""
    name = _FORMATS[media_type]
    try:
        yield
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
    return scaled(luminance, 255)


def read_orientation(content: bytes, media_type: str) -> int:
    """Return the EXIF orientation (1 to 8), 1 if the file cannot be opened."""
    try:
        with Image.open(io.BytesIO(content), formats=[_FORMATS[media_type]]) as image:
            return _orientation(image)
    except Exception:
        return 1


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation (2.3, tag 0x0112), 1 = upright if it cannot be parsed."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _density(image: Image.Image) -> tuple[float, float]:
    """Return the pixels to a unit of length, across and down, (1, 1) if not stated."""
    # Of JPEG only JFIF's, which stored copies keep; PNG without a unit; others.
    for stated in ("jfif_density",) if image.format == "JPEG" else ("aspect", "dpi"):
        if stated in image.info:
            across, down = image.info[stated]
            return float(across), float(down)
    return 1.0, 1.0


def _pixel_aspect(across: float, down: float, orientation: int) -> float:
    """Return the height of an upright pixel over its width; 1 where densities are unusable."""
    if not (across > 0 and down > 0):
        return 1.0
    aspect = float(down / across if orientation in _SIDEWAYS else across / down)
    is_usable = _ASPECTS[0] <= aspect <= _ASPECTS[1] and abs(aspect - 1) > _ROUNDED
    return aspect if is_usable else 1.0


def _turn_upright(pixels: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Undo an EXIF orientation. pixels: (H, W); 5 to 8 swap the sides."""
    if orientation in _SIDEWAYS:
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
