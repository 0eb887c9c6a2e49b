"""Small pictures, drawn from what Overread made itself: the network input and the heatmap."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from models.files.store import FileStore
from models.tables.intake import Image
from pipeline.drawing import heatmap_png
from pipeline.types import PREPROCESSING
from pipeline.upright import upright

THUMBNAIL_SIDE = 128


def draw_heatmap(heatmap: NDArray[np.float32], *, orientation: int) -> bytes:
    # The page stretches it over the display, so any shape will do.
    return heatmap_png(heatmap, size=(448, 448), orientation=orientation)


def draw_thumbnail(image: Image, store: FileStore, *, orientation: int) -> bytes:
    """The network input is squashed to a square: restore the image's proportions."""
    network_input = store.network_input(image.sha256, PREPROCESSING)
    squashed = Pillow.fromarray(upright(network_input, orientation))
    sides = [image.columns or 1, (image.rows or 1) * (image.pixel_aspect or 1.0)]
    if orientation % 2:  # a quarter turn
        sides.reverse()
    width, height = (max(1, round(side * THUMBNAIL_SIDE / max(sides))) for side in sides)
    target = io.BytesIO()
    squashed.resize((width, height), Pillow.Resampling.BOX).save(target, "PNG", compress_level=1)
    return target.getvalue()
