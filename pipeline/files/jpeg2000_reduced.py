"""Lower resolutions of JPEG 2000, which a stream holds in itself (ITU-T T.800 annex B.5)."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from pipeline.files.jpeg2000 import CodeStream, code_stream_of


def most_halvings(size: CodeStream, minimum_size: int) -> int:
    """Return how often the sides may be halved until one is shorter than `minimum_size`."""
    halvings = 0
    while halvings < size.levels and min(size.rows, size.columns) >> halvings >= 2 * minimum_size:
        halvings += 1
    return halvings


def read_reduced(content: bytes, size: CodeStream, halvings: int) -> NDArray[Any]:
    """Return grey samples (H, W) of 2 to 16 bits, typed as they are coded, sides rounded up.

    A pixel stands for the place of the first of 2**halvings ones across and down, not for the
    square that they make. Errors are Pillow's.
    """
    step = 2**halvings
    with Image.open(io.BytesIO(code_stream_of(content)), formats=["JPEG2000"]) as image:
        assert isinstance(image, Jpeg2KImageFile)
        # Pillow's own `reduce` rounds the sides to the nearest number, which its decoder refuses.
        image._size = (-(-size.columns // step), -(-size.rows // step))  # type: ignore[assignment]
        (tile,) = image.tile
        assert isinstance(tile.args, tuple)
        args = (tile.args[0], halvings, *tile.args[2:])
        image.tile = [tile._replace(extents=(0, 0, *image.size), args=args)]
        shown = np.asarray(image)
    # Pillow shows all bits that its type has, and signed samples above the middle.
    samples: NDArray[Any] = shown >> (8 * shown.itemsize - size.precision)
    if not size.is_signed:
        return samples
    signed = samples.astype(np.int32) - (1 << (size.precision - 1))
    return signed.astype(f"i{shown.itemsize}")
