"""Small pictures, drawn from what Overread made itself: the network input and the heatmap."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from models.files.store import FileStore
from models.tables.intake import Image
from pipeline.drawing import heatmap_png
from pipeline.types import PREPROCESSING

THUMBNAIL_SIDE = 128


def draw_heatmap(heatmap: NDArray[np.float32]) -> bytes:
    # The page stretches it over the display, so any shape will do.
    return heatmap_png(heatmap, size=(448, 448))


def draw_thumbnail(image: Image, store: FileStore) -> bytes:
    """The network input is squashed to a square: restore the image's proportions."""
    squashed = Pillow.fromarray(store.network_input(image.sha256, PREPROCESSING))
    width, height = image.columns or 1, image.rows or 1
    scale = THUMBNAIL_SIDE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    target = io.BytesIO()
    squashed.resize(size, Pillow.Resampling.BOX).save(target, "PNG", compress_level=1)
    return target.getvalue()
