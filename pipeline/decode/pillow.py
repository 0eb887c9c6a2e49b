"""What all formats that Pillow opens share: errors, orientation and the shape of a pixel."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.errors import RefusedError, damaged, too_large

_SIDEWAYS: Final = (5, 6, 7, 8)  # EXIF orientations that swap the sides
_ASPECTS: Final = (0.2, 5.0)  # beyond, densities are a mistake
_ROUNDED: Final = 0.01  # an aspect this close to 1 is one of rounded densities

# `Limits` bounds the pixels before any are decoded. Samples of TIFF are decoded as bytes, of which
# there are more.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module="PIL", category=UserWarning)  # quotes metadata
logging.getLogger("PIL").setLevel(logging.CRITICAL)  # quotes EXIF values


@contextmanager
def refusing_errors(name: str) -> Iterator[None]:
    """Errors while an image is read become RefusedError. name: of its format."""
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


def exif_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation (2.3, tag 0x0112), 1 = upright if it cannot be parsed."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return orientation if orientation in range(1, 9) else 1


def turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo an EXIF orientation. pixels: (H, W); 5 to 8 swap the sides."""
    if orientation in _SIDEWAYS:
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def pixel_aspect(across: float, down: float, orientation: int) -> float:
    """Return the height of an upright pixel over its width; 1 where densities are unusable.

    across, down: pixels to a unit of length, as stored.
    """
    if not (across > 0 and down > 0):
        return 1.0
    aspect = float(down / across if orientation in _SIDEWAYS else across / down)
    is_usable = _ASPECTS[0] <= aspect <= _ASPECTS[1] and abs(aspect - 1) > _ROUNDED
    return aspect if is_usable else 1.0
