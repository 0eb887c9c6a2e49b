"""Agreement of heatmaps with boxes that readers drew (`boxes.csv`), beside blind references.

Heatmaps are scored as shown, enlarged as `drawing` does.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.randomisation import DRAWS, randomise_version
from pipeline.decode.decode import decode
from pipeline.drawing import smooth
from pipeline.errors import PipelineError, RefusedError
from pipeline.evaluation.bootstrap import bootstrap
from pipeline.inference.engine import load_engine
from pipeline.inference.heatmap import cell_means
from pipeline.prepare.network_input import DECODED_SIZE, network_input

BOXES_FILE = "boxes.csv"
_NUMBERS = ("x", "y", "w", "h", "image_w", "image_h")
_ROUNDING = 1.0  # pixels that a box may reach beyond its image


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


def read_boxes(folder: Path) -> list[BoxedImage]:
    """Read `folder/boxes.csv`: file, x, y, w, h, image_w, image_h in pixels, a box a line.

    Sorted by path. A file is looked for in the folder by its name, then from the folder above by
    its path. Raises BoxesError naming file and line.
    """
    table = folder / BOXES_FILE
    if not table.is_file():
        raise BoxesError(f"expected {BOXES_FILE} in {folder}, found none")
    boxes: dict[Path, list[tuple[float, ...]]] = {}
    with table.open(newline="", encoding="utf-8") as stream:
        lines = csv.DictReader(stream)
        try:
            for row in lines:
                boxes.setdefault(_find(folder, row["file"]), []).append(_box(row))
        except KeyError as error:
            raise BoxesError(f"{table}: expected a column {error}, found none") from error
        except (ValueError, csv.Error) as error:
            raise BoxesError(f"{table}, line {lines.line_num}: {error}") from error
    if not boxes:
        raise BoxesError(f"{table}: expected boxes, found none")
    return [BoxedImage(path, np.array(boxes[path], np.float64)) for path in sorted(boxes)]


def _find(folder: Path, name: str) -> Path:
    for path in (folder / Path(name).name, folder.parent / name):
        if path.is_file():
            return path
    raise ValueError(f"no such file: {name}")


def _box(row: Mapping[str, str]) -> tuple[float, ...]:
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


Maps = NDArray[np.float32]  # (n, h, w), not negative
SIZE: Final = 224  # pixels; the side at which maps and boxes are compared
TOLERANCE: Final = 15 / 500  # of the side: Zhang's 15 pixels on photographs of about 500
SHARE_OF_PEAK: Final = 0.5  # what is as strong as this counts as marked
PRIOR_WIDTH: Final = 0.25  # the centre prior's standard deviation, of the side
METRICS: Final = ("pointing_game", "mean_iou", "energy_inside")


def score_external(folder: Path, external: Path, *, draws: int = DRAWS) -> dict[str, Any]:
    """Score the version in `folder` on `external/boxes.csv`; the version may still lack its card.

    All boxed images count, whatever the network says of them. draws: of the randomisation, which
    imports TensorFlow; two cores take half a minute. The answer fits into JSON.
    Raises BoxesError, NetworkFolderError.
    """
    images = read_boxes(external)
    inputs = read_inputs(images)
    return score_version(folder, images, inputs) | {
        "randomisation": randomise_version(folder, inputs, draws=draws)
    }


def score_version(
    folder: Path, images: Sequence[BoxedImage], inputs: NDArray[np.uint8]
) -> dict[str, Any]:
    """The scores without the randomisation, by the compiled engine. inputs: those of the images."""
    heatmaps = load_engine(folder).infer(inputs).heatmaps
    scores = {"heatmap": score(heatmaps, images)} | {
        name: score(maps, images) for name, maps in references(heatmaps, images).items()
    }
    intervals = _intervals(scores)
    return {
        "images": len(images),
        "boxes": sum(len(image.boxes) for image in images),
        "share_inside_boxes": round(float(np.mean([_area(image) for image in images])), 4),
        **intervals.pop("heatmap"),
        **intervals,
    }


def read_inputs(images: Sequence[BoxedImage]) -> NDArray[np.uint8]:
    """uint8 (n, 224, 224), as serving would read them. Raises BoxesError."""
    inputs = []
    for image in images:
        try:
            inputs.append(network_input(decode(image.path, minimum_size=DECODED_SIZE)))
        except RefusedError as error:
            raise BoxesError(f"{image.path.name}: {error}") from error
    return np.stack(inputs)


def score(heatmaps: Maps, images: Sequence[BoxedImage]) -> dict[str, NDArray[np.float64]]:
    """Per image, float64 (n,) in [0, 1]; an empty heatmap scores 0.

    pointing_game: 1 where the peak lies in a box or no farther away than TOLERANCE
        (Zhang 2018, "Top-down neural attention by excitation backprop").
    mean_iou: intersection over union of what reaches SHARE_OF_PEAK with all boxes together.
    energy_inside: share of the map's sum in the boxes (Wang 2020, "Score-CAM").
    """
    rows = [_score_one(heatmap, image) for heatmap, image in zip(heatmaps, images, strict=True)]
    return dict(zip(METRICS, np.array(rows, np.float64).T, strict=True))


def _score_one(heatmap: NDArray[np.float32], image: BoxedImage) -> tuple[float, float, float]:
    drawn = smooth(heatmap, size=(SIZE, SIZE))
    if not drawn.max() > 0:
        return 0.0, 0.0, 0.0
    boxes = image.mask(size=SIZE)
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    distance = image.distance(x=(column + 0.5) / SIZE, y=(row + 0.5) / SIZE)
    marked = drawn >= SHARE_OF_PEAK * drawn.max()
    iou = (marked & boxes).sum() / (marked | boxes).sum()
    return float(distance <= TOLERANCE), float(iou), float(drawn[boxes].sum() / drawn.sum())


def references(heatmaps: Maps, images: Sequence[BoxedImage]) -> dict[str, Maps]:
    """What to compare the heatmaps of n images with, each (n, h, w) like the heatmaps.

    Three that don't look at the image. centre_prior: a Gaussian in the middle of the image.
    mean_heatmap: the mean of the other images' heatmaps, each scaled to its sum: what the network
    marks anyway. mean_boxes: the mean of the other images' boxes: what someone marks who knows
    where pneumonia usually is. And own_boxes: the image's own boxes in the heatmap's few cells,
    the best that a map of this size can do.
    """
    n, rows, columns = heatmaps.shape
    down, across = ((np.arange(side) + 0.5) / side - 0.5 for side in (rows, columns))
    squares = down[:, None] ** 2 + across**2
    centre = np.exp(-squares / (2 * PRIOR_WIDTH**2)).astype(np.float32)
    sums = np.maximum(heatmaps.sum(axis=(1, 2), keepdims=True), 1e-12)
    masks = np.stack([image.mask(size=SIZE) for image in images]).astype(np.float32)
    boxes = cell_means(masks, rows, columns)
    return {
        "centre_prior": np.repeat(centre[None], n, axis=0),
        "mean_heatmap": _mean_of_others(heatmaps / sums),
        "mean_boxes": _mean_of_others(boxes),
        "own_boxes": boxes,
    }


def _mean_of_others(maps: Maps) -> Maps:
    others: Maps = (maps.sum(axis=0) - maps).clip(min=0) / max(len(maps) - 1, 1)
    return others


def _intervals(scores: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> dict[str, Any]:
    """Means with 95 % intervals over images, each image of another patient.

    All but the heatmap have `<metric>_gain` too: how much more the heatmap has on the same images.
    """
    values = {(name, metric): scores[name][metric] for name in scores for metric in METRICS}
    values |= {
        (name, f"{metric}_gain"): scores["heatmap"][metric] - scores[name][metric]
        for name in scores
        for metric in METRICS
        if name != "heatmap"
    }
    found = bootstrap(
        lambda weights: {key: weights @ v / weights.sum(axis=1) for key, v in values.items()},
        patients=np.arange(len(scores["heatmap"][METRICS[0]])),
    )
    intervals: dict[str, Any] = {name: {} for name in scores}
    for (name, metric), interval in found.items():
        intervals[name][metric] = interval.as_json()
    return intervals


def _area(image: BoxedImage) -> float:
    return float(image.mask(size=SIZE).mean())
