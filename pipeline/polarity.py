"""Films stored as negatives: found, so that they are read with their polarity corrected."""

import numpy as np
from numpy.typing import NDArray

from pipeline.appearance import appearance
from pipeline.familiarity import Familiarity

BETTER = 1.05  # times nearer once corrected; 1.09 is the least of 157 adults' films
INVERTED = "the film looked inverted; it was read with its polarity corrected"


def is_inverted(network_inputs: NDArray[np.uint8], *, usual: Familiarity) -> NDArray[np.bool_]:
    """Which of n images, uint8 (n, h, w), look like a chest only once they are inverted.

    usual: of training images' appearance. The standardised thumbnail of the negative is the
    thumbnail's own negative.
    """
    thumbnails = appearance(network_inputs)
    as_stored, corrected = usual.distance(thumbnails), usual.distance(-thumbnails)
    # Noise is as strange one way as the other.
    is_better = as_stored > BETTER * corrected
    inverted: NDArray[np.bool_] = (as_stored > usual.limit) & is_better
    return inverted
