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
from PIL.PngImagePlugin import PngImageFile

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
from pipeline.files.png import Png, one_pixel_with_metadata, read_png
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
    png: Png | None = None,
) -> DecodedImage:
    """Decode the first image of the file. Raises RefusedError.

    minimum_size: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which is cheaper, with
    at least this many pixels to a side. png: of a PNG that was read before.
    """
    if media_type == PNG and png is None:
        png = read_png(content, limits)
    elif media_type == JPEG:
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
            if png and isinstance(image, PngImageFile):
                image.load_read = png.pixels.read  # type: ignore[method-assign]
                levels = _levels_of_png(content, image, png)
                png.pixels.is_exact()  # what Pillow has no use for is checked, too
            elif media_type == JPEG:
                levels = _levels_of_jpeg(content, image, minimum_size)
            else:
                levels = levels_of(image)
            orientation = orientation_of_png(png) if png else _orientation(image)
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


def _levels_of_png(content: bytes, image: Image.Image, png: Png) -> Levels:
    if png.rule and image.mode in ("L", "I;16"):
        return copied_levels(np.asarray(image), bits=png.bits, rule=png.rule)
    if levels := dark_levels(content, image):
        return levels
    return levels_of(image, stated=(0, 2**png.bits - 1) if png.bits else None)


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


def _levels_of_jpeg(content: bytes, image: Image.Image, minimum_size: int | None) -> Levels:
    scale = 1
    while minimum_size and scale < 8 and min(image.size) >= 2 * scale * minimum_size:
        scale *= 2
    luminance = read_luminance(content, scale=scale)
    if luminance is None or image.mode not in ("L", "RGB"):
        return levels_of(image)  # rare kinds
    return Levels(scaled(luminance, 255))


def orientation_of_png(png: Png) -> int:
    """Return the EXIF orientation (1 to 8)."""
    return read_orientation(one_pixel_with_metadata(png), PNG) if png.metadata else 1


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
