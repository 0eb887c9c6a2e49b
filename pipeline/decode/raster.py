"""PNG, TIFF and similar formats to grey levels in [0, 1]."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from pipeline.decode.levels import Levels, copied_levels, image_of
from pipeline.decode.modes import levels_of
from pipeline.decode.pillow import exif_orientation, pixel_aspect, refusing_errors, turn_upright
from pipeline.decode.png_samples import dark_levels
from pipeline.decode.samples import is_grey_or_rgb, is_misread_by_pillow, levels_of_page
from pipeline.decode.tiff import (
    ORIENTATION,
    Page,
    find_film,
    starting_with,
)
from pipeline.errors import unsupported
from pipeline.files.png import Png, one_pixel_with_metadata, read_png
from pipeline.files.sniff import BMP, JPEG2000, PNG, TIFF, WEBP
from pipeline.limits import Limits
from pipeline.types import DecodedImage

# Only these decoders may run: that of EPS, for one, starts Ghostscript.
_FORMATS = {
    **{PNG: "PNG", TIFF: "TIFF"},
    **{BMP: "BMP", WEBP: "WEBP", JPEG2000: "JPEG2000"},
}


def decode_raster(
    content: bytes,
    *,
    media_type: str,
    limits: Limits,
    png: Png | None = None,
) -> DecodedImage:
    """Decode the first image of the file. Raises RefusedError.

    png: of a PNG that was read before.
    """
    if media_type == PNG and png is None:
        png = read_png(content, limits)
    with refusing_errors(_FORMATS[media_type]):
        if media_type == TIFF:
            return _read_tiff(content, limits)
        with Image.open(io.BytesIO(content), formats=[_FORMATS[media_type]]) as image:
            columns, rows = image.size
            limits.check_size(rows, columns)
            frames = int(getattr(image, "n_frames", 1))
            limits.check_frames(frames)
            if png and isinstance(image, PngImageFile):
                image.load_read = png.pixels.read  # type: ignore[method-assign]
                levels = _levels_of_png(content, image, png)
                png.pixels.is_exact()  # what Pillow has no use for is checked, too
            else:
                levels = levels_of(image)
            orientation = orientation_of_png(png) if png else exif_orientation(image)
            aspect = pixel_aspect(*_density(image), orientation)
    levels = replace(levels, pixels=turn_upright(levels.pixels, orientation))
    xmp = png.metadata if png else b""
    return image_of(levels, rows, columns, frames=frames, aspect=aspect, xmp=xmp)


def _read_tiff(content: bytes, limits: Limits) -> DecodedImage:
    page, frames = find_film(content, limits)
    limits.check_size(page.rows, page.columns)
    orientation = page.integer(ORIENTATION, 1)
    levels = None if is_misread_by_pillow(page) else _levels_by_pillow(content, page)
    if levels is None:
        if not is_grey_or_rgb(page):
            raise unsupported("the TIFF's layout of samples is not supported")
        levels = levels_of_page(content, page)
        levels = replace(levels, pixels=turn_upright(levels.pixels, orientation))
    aspect = pixel_aspect(*page.densities, orientation)
    return image_of(levels, page.rows, page.columns, frames=frames, aspect=aspect)


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


def orientation_of_png(png: Png) -> int:
    """Return the EXIF orientation (1 to 8)."""
    if not png.metadata:
        return 1
    try:
        with Image.open(io.BytesIO(one_pixel_with_metadata(png)), formats=["PNG"]) as image:
            return exif_orientation(image)
    except Exception:
        return 1


def _density(image: Image.Image) -> tuple[float, float]:
    """Return the pixels to a unit of length, across and down, (1, 1) if not stated."""
    for stated in ("aspect", "dpi"):  # PNG without a unit; others
        if stated in image.info:
            across, down = image.info[stated]
            return float(across), float(down)
    return 1.0, 1.0
