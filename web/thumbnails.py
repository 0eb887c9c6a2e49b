"""Small pictures for lists, from the network's input: nothing needs to be decoded again."""

import io

from PIL import Image

from models.files.store import FileStore
from models.tables import intake as tables
from pipeline.decode.network_input import PREPROCESSING

SIDE = 128


def thumbnail_png(image: tables.Image, store: FileStore) -> bytes:
    """The network's input is squashed to a square; this restores the picture's own shape."""
    squashed = Image.fromarray(store.network_input(image.sha256, PREPROCESSING))
    small = squashed.resize(_size(image.columns or 1, image.rows or 1), Image.Resampling.BOX)
    target = io.BytesIO()
    small.save(target, "PNG", compress_level=1)
    return target.getvalue()


def _size(width: int, height: int) -> tuple[int, int]:
    scale = SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
