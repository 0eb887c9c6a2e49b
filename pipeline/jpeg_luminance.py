"""The luminance of a JPEG, by a decoder that says where the coded data are damaged.

Pillow has the same decoder (libjpeg-turbo) and gives the same values, but hides its warnings:
it paints over what is missing, zeroed or exchanged.
"""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pipeline.errors import RefusedError
from pipeline.jpeg import DAMAGED, is_eight_bit_dct, tells_of_damage


def read_luminance(content: bytes, *, scale: int = 1) -> NDArray[np.uint8] | None:
    """Return uint8 (H, W), 0 = black, at 1/scale (1, 2, 4 or 8) of the sides, rounded up.

    None: the stream is of a rarer kind, for instance of 12 bits or lossless. Raises
    RefusedError where the coded data are damaged and it shows: of 150 films each, whenever
    100 bytes were missing or 512 were zero, for three in four with 64 random bytes, for one in
    ten with a single wrong bit.
    """
    if not is_eight_bit_dct(content):  # of lossless ones it would write beyond its memory
        return None
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
        if tells_of_damage(str(error)):
            raise RefusedError(DAMAGED) from None
        return None  # it cannot decode this stream, or dislikes something about its metadata
    return luminance[..., 0]
