"""What the network eats. Training and serving use this one function."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.types import DecodedImage

# Part of the names of derived files: raise it whenever the same file would give other bytes.
PREPROCESSING: Final = "1"

SIZE: Final = 224
# A JPEG is decoded at reduced scale down to this side. Twice the network's size keeps the
# coarse block filter of the reduced decoding well below what the resize removes anyway.
DECODED_SIZE: Final = 2 * SIZE


def network_input(image: DecodedImage) -> NDArray[np.uint8]:
    """Return uint8 (224, 224), 0 = black.

    The picture is squashed to a square, as in the training images' usual recipe: cropping
    would lose the lungs' edges, padding would show the network what it never learned. The
    triangle filter spans all source pixels (antialiased).
    """
    source = Image.fromarray(np.ascontiguousarray(image.pixels, np.float32))
    small = source.resize((SIZE, SIZE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    levels: NDArray[np.uint8] = np.rint(np.clip(np.asarray(small), 0, 1) * 255).astype(np.uint8)
    return levels
