"""Boxes that readers drew around opacities, by image."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError

_NUMBERS: Final = ("x", "y", "w", "h", "image_w", "image_h")
# As the RSNA's list names them, whose boxes are in pixels of 1024 x 1024.
_RSNA: Final = {"width": "w", "height": "h"}
_RSNA_SIDE: Final = "1024"
_ROUNDING: Final = 1.0  # pixels that a box may reach beyond its image


class BoxesError(PipelineError):
    """The list of boxes, or an image that it names, cannot be used."""


@dataclass(frozen=True)
class BoxedImage:
    """One radiograph and its boxes.

    boxes: float64 (k, 4), left, top, right and bottom as shares of the image's width and height,
        in [0, 1]; k is at least 1. Boxes of several readers may overlap.
    """

    path: Path
    boxes: NDArray[np.float64]

    def mask(self, *, size: int) -> NDArray[np.bool_]:
        """Bool (size, size): the pixels whose middle lies in a box."""
        middle = (np.arange(size) + 0.5) / size
        left, top, right, bottom = self.boxes.T[:, :, None]
        columns = (left <= middle) & (middle <= right)  # (k, size)
        rows = (top <= middle) & (middle <= bottom)
        union: NDArray[np.bool_] = (rows[:, :, None] & columns[:, None]).any(axis=0)
        return union

    def distance(self, x: float, y: float) -> float:
        """How far a place is from the nearest box, in shares of the side; 0 inside."""
        left, top, right, bottom = self.boxes.T
        across = np.maximum(np.maximum(left - x, x - right), 0)
        down = np.maximum(np.maximum(top - y, y - bottom), 0)
        return float(np.hypot(across, down).min())


def read_boxes(table: Path) -> list[BoxedImage]:
    """Read a CSV of boxes, one a line: file, x, y, w, h, image_w, image_h in pixels.

    Or the RSNA's columns file, x, y, width, height, for images of 1024 x 1024. Sorted by path. A
    file is looked for from the table's folder by its path, then by its name, then from the folder
    above. Raises BoxesError naming table and line.
    """
    if not table.is_file():
        raise BoxesError(f"{table}: expected a list of boxes, found none")
    boxes: dict[Path, list[tuple[float, ...]]] = {}
    with table.open(newline="", encoding="utf-8") as stream:
        lines = csv.DictReader(stream)
        try:
            for row in lines:
                boxes.setdefault(_find(table.parent, row["file"]), []).append(_box(row))
        except KeyError as error:
            raise BoxesError(f"{table}: expected a column {error}, found none") from error
        except (ValueError, csv.Error) as error:
            raise BoxesError(f"{table}, line {lines.line_num}: {error}") from error
    if not boxes:
        raise BoxesError(f"{table}: expected boxes, found none")
    return [BoxedImage(path, np.array(boxes[path], np.float64)) for path in sorted(boxes)]


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / Path(name).name, folder.parent / name):
        if path.is_file():
            return path
    raise ValueError(f"no such file: {name}")


def _box(row: Mapping[str, str]) -> tuple[float, ...]:
    if "image_w" not in row:
        named = {_RSNA.get(name, name): value for name, value in row.items()}
        row = named | dict.fromkeys(("image_w", "image_h"), _RSNA_SIDE)
    try:
        x, y, w, h, width, height = (float(row[name]) for name in _NUMBERS)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected numbers in {', '.join(_NUMBERS)}") from error
    across = 0 <= x < x + w <= width + _ROUNDING
    down = 0 <= y < y + h <= height + _ROUNDING
    if not (across and down):
        received = f"x={x:g}, y={y:g}, w={w:g}, h={h:g}"
        raise ValueError(f"expected a box in an image of {width:g} x {height:g}, {received}")
    return x / width, y / height, min((x + w) / width, 1), min((y + h) / height, 1)
