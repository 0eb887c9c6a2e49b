"""Images with the heatmap overlaid, one file for each content."""

import re
from pathlib import Path

from cli.errors import Failed
from cli.output import make_folder
from cli.predict.reader import Item
from pipeline.decode.decode import decode
from pipeline.drawing import overlay_png
from pipeline.types import Prediction


class OverlayFolder:
    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder

    def draw(self, item: Item, prediction: Prediction) -> None:
        peak = float(prediction.heatmap.max())
        heatmap = prediction.heatmap / peak if peak > 0 else prediction.heatmap
        # Decoded again, in this process: a decoder process has just decoded it without harm.
        overlay = overlay_png(decode(item.path), heatmap)
        try:
            (self._folder / overlay_name(item.file, item.sha256)).write_bytes(overlay)
        except OSError as error:
            raise Failed(f"{self._folder}: cannot be written: {error.strerror}") from None


def overlay_name(file: str, sha256: str) -> str:
    """Valid on any file system, and unique for the content."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", file.replace("/", "__"))[-80:].lstrip(".-")
    return f"{readable}-{sha256[:12]}.png"
