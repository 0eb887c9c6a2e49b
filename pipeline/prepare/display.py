"""One file to the picture that people see."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.decode.decode import decode
from pipeline.drawing import display_png, overlay_png
from pipeline.limits import Limits


def display(
    path: Path, heatmap: NDArray[np.float32] | None = None, *, limits: Limits = Limits()
) -> bytes:
    """Return an 8-bit PNG: the radiograph in grey, or with a heatmap over it in RGB.

    heatmap: float32 (h, w) in [0, 1], scaled to its peak. Raises RefusedError.
    """
    image = decode(path, limits=limits)
    return display_png(image) if heatmap is None else overlay_png(image, heatmap)
