"""JPEG files to grey levels."""

import io
import struct
from dataclasses import replace

from PIL import Image

from pipeline.decode.levels import Levels, grey_levels, image_of
from pipeline.decode.modes import levels_of
from pipeline.decode.pillow import exif_orientation, pixel_aspect, refusing_errors, turn_upright
from pipeline.decode.xmp import NAMESPACE
from pipeline.files.jpeg import APP0, APP1, APP2, Jpeg, check_jpeg, read_luminance
from pipeline.files.jpeg_samples import read_precise
from pipeline.limits import Limits
from pipeline.types import DecodedImage

_ONE_OR_THREE = (1, 3)  # components: grey or colours


def decode_jpeg(jpeg: Jpeg, limits: Limits, *, minimum_size: int | None = None) -> DecodedImage:
    """Decode the file's first image. Raises RefusedError.

    minimum_size: it may be decoded at 1/2, 1/4 or 1/8 of its size, which is cheaper, with at
    least this many pixels to a side.
    """
    check_jpeg(jpeg, limits)
    rows, columns = jpeg.header.rows, jpeg.header.columns
    with refusing_errors("JPEG"):
        limits.check_size(rows, columns)
        frames = _frames(jpeg)
        limits.check_frames(frames)
        levels = _levels(jpeg, minimum_size)
    orientation = read_orientation(jpeg)
    if orientation != 1:
        levels = replace(levels, pixels=turn_upright(levels.pixels, orientation))
    aspect = pixel_aspect(*_density(jpeg), orientation)
    xmp = b"".join(_xmp(jpeg))
    return image_of(levels, rows, columns, frames=frames, aspect=aspect, xmp=xmp)


def read_orientation(jpeg: Jpeg) -> int:
    """Return the orientation (1 to 8) by EXIF, else by XMP; 1 where neither states it."""
    holder = Image.new("1", (1, 1))
    if exif := jpeg.bodies(APP1, b"Exif\0\0"):
        holder.info["exif"] = b"".join(exif)
    if xmp := _xmp(jpeg):
        holder.info["xmp"] = xmp[-1]
    return exif_orientation(holder) if holder.info else 1


def _xmp(jpeg: Jpeg) -> list[bytes]:
    return jpeg.bodies(APP1, NAMESPACE)


def _levels(jpeg: Jpeg, minimum_size: int | None) -> Levels:
    if (precise := read_precise(jpeg)) is not None:
        samples, bits = precise
        return grey_levels(samples, possible=(0, 2**bits - 1))
    scale, side = 1, min(jpeg.header.rows, jpeg.header.columns)
    while minimum_size and scale < 8 and side >= 2 * scale * minimum_size:
        scale *= 2
    luminance = read_luminance(jpeg, scale=scale)
    if luminance is not None and jpeg.header.components in _ONE_OR_THREE:
        return Levels(luminance)
    with Image.open(io.BytesIO(jpeg.content), formats=["JPEG"]) as image:
        return levels_of(image)  # rare kinds


def _frames(jpeg: Jpeg) -> int:
    """Return how many images the file holds by its index (CIPA DC-007), which few have."""
    if not jpeg.bodies(APP2, b"MPF\0"):
        return 1
    with Image.open(io.BytesIO(jpeg.content), formats=["JPEG"]) as image:
        return int(getattr(image, "n_frames", 1))


def _density(jpeg: Jpeg) -> tuple[float, float]:
    """Return JFIF's pixels to a unit of length, across and down, which stored copies keep.

    (1, 1) if not stated; that of EXIF is not kept.
    """
    for body in reversed(jpeg.bodies(APP0, b"JFIF")):
        if len(body) >= 8:  # a zero, version, unit, densities
            across, down = struct.unpack(">HH", body[4:8])
            return float(across), float(down)
    return 1.0, 1.0
