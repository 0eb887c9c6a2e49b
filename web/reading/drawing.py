"""Draw what `images` serves."""

import io
from threading import BoundedSemaphore

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from models.files.store import FileStore
from models.tables.intake import Image
from pipeline.decode.decode import decode
from pipeline.drawing import display_png, heatmap_png, overlay_png
from pipeline.types import PREPROCESSING

THUMBNAIL_SIDE = 128
# An image of 64 million pixels takes a quarter of a gigabyte while it is drawn.
SLOTS = BoundedSemaphore(3)


def draw(kind: str, image: Image, heatmap: NDArray[np.float32] | None, store: FileStore) -> bytes:
    if kind == "thumbnail":
        return _thumbnail(image, store)
    if kind == "heatmap":
        assert heatmap is not None
        # The page stretches it over the display, so any shape will do.
        return heatmap_png(heatmap, size=(448, 448))
    assert image.stored_sha256 is not None
    with SLOTS:
        decoded = decode(store.path(image.stored_sha256))
        return display_png(decoded) if heatmap is None else overlay_png(decoded, heatmap)


def _thumbnail(image: Image, store: FileStore) -> bytes:
    """From the network input, which is squashed to a square: restore the image's proportions."""
    squashed = Pillow.fromarray(store.network_input(image.sha256, PREPROCESSING))
    width, height = image.columns or 1, image.rows or 1
    scale = THUMBNAIL_SIDE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    target = io.BytesIO()
    squashed.resize(size, Pillow.Resampling.BOX).save(target, "PNG", compress_level=1)
    return target.getvalue()
