"""Images that are stored rotated or inverted, and how they are set upright.

An orientation is a number in 0 .. 7: how many quarter turns counter-clockwise the stored image is
rotated by, and 4 more where its polarity is inverted.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_INVERTED: Final = 4
_TURNS: Final = ("", "rotated to the left", "upside down", "rotated to the right")


def upright(levels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return uint8 (H, W), 0 = black, upright, of an image as stored; the sides may change."""
    return np.rot90(255 - levels if orientation >= _INVERTED else levels, -(orientation % 4))


def upright_heatmap(heatmap: NDArray[np.floating], orientation: int) -> NDArray[np.floating]:
    """Return the heatmap (h, w) of an image as stored, to lie over the upright one."""
    return np.rot90(heatmap, -(orientation % 4))


def describe_orientation(orientation: int) -> str:
    """Return e.g. "upside down and inverted"; empty for an upright image."""
    polarity = "inverted" if orientation >= _INVERTED else ""
    return " and ".join(filter(None, [_TURNS[orientation % 4], polarity]))
