"""Images with the heatmap overlaid, one file for each content."""

import re
from pathlib import Path

import click

from cli.errors import Failed
from cli.output import make_folder
from cli.predict.reader import Item
from pipeline.errors import RefusedError
from pipeline.prepare.pool import DecoderPool
from pipeline.types import Prediction


class OverlayFolder:
    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder
        self.is_complete = True

    def draw(self, item: Item, prediction: Prediction, *, pool: DecoderPool) -> None:
        overlay = pool.display(item.path, prediction.heatmap, orientation=prediction.orientation)
        if isinstance(overlay, RefusedError):
            click.echo(f"{item.file}: no overlay: {overlay}", err=True)
            self.is_complete = False
            return
        try:
            (self._folder / overlay_name(item.file, item.sha256)).write_bytes(overlay)
        except OSError as error:
            raise Failed(f"{self._folder}: cannot be written: {error.strerror}") from None


def overlay_name(file: str, sha256: str) -> str:
    """Valid on any file system, and unique for the content."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", file.replace("/", "__"))[-80:].lstrip(".-")
    return f"{readable}-{sha256[:12]}.png"
