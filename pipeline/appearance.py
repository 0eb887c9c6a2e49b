"""What an image looks like from afar: enough to tell a chest from what is none, or a negative.

The network's features answer to lungs wherever these lie; a thumbnail also sees a film that
lies on its side, shows another body part, or has the wrong polarity.
"""

import numpy as np
from numpy.typing import NDArray

SIDE = 28
FLAT = 4.0  # grey levels; keeps empty pictures from being all noise


def appearance(network_inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (n, h, w) -> float32 (n, SIDE * SIDE), each of mean 0 and deviation about 1.

    Height and width must be at least SIDE; what does not divide is cut off.
    """
    n, height, width = network_inputs.shape
    rows, columns = height // SIDE, width // SIDE
    cut = network_inputs[:, : rows * SIDE, : columns * SIDE]
    blocks = cut.reshape(n, SIDE, rows, SIDE, columns)
    thumbnails = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(n, SIDE * SIDE)
    centred = thumbnails - thumbnails.mean(axis=1, keepdims=True)
    standard: NDArray[np.float32] = centred / (centred.std(axis=1, keepdims=True) + FLAT)
    return standard
