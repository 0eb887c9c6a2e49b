"""Agreement of heatmaps with boxes that readers drew, beside references that see no image.

Heatmaps are scored as shown, enlarged as `drawing` does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.drawing import smooth
from pipeline.evaluation.bootstrap import bootstrap
from pipeline.evaluation.heatmaps.boxes import BoxedImage
from pipeline.inference.heatmap import (
    KINDS,
    STEP,
    body_shares,
    cell_means,
    kind_of,
    measure_trust,
)
from pipeline.types import HeatmapTrust

Maps = NDArray[np.float32]  # (n, h, w), not negative
Scored = dict[str, NDArray[np.float64]]
SIZE: Final = 224  # pixels; the side at which maps and boxes are compared
TOLERANCE: Final = 15 / 500  # of the side: Zhang's 15 pixels on photographs of about 500
SHARE_OF_PEAK: Final = 0.5  # what is as strong as this counts as marked
PRIOR_WIDTH: Final = 0.25  # the centre prior's standard deviation, of the side
METRICS: Final = ("pointing_game", "mean_iou", "energy_inside", "peak_outside_body")
UNUSUAL_SHARE: Final = 1 / 3  # of the images, those with boxes where others have fewest


@dataclass
class BoxedHeatmaps:
    """Heatmaps of images with boxes, collected one by one."""

    _images: list[BoxedImage] = field(default_factory=list)
    _heatmaps: list[NDArray[np.float32]] = field(default_factory=list)
    _inputs: list[NDArray[np.uint8]] = field(default_factory=list)
    _patients: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._images)

    def add(
        self,
        image: BoxedImage,
        heatmap: NDArray[np.float32],
        *,
        network_input: NDArray[np.uint8],
        patient: str,
    ) -> None:
        """heatmap: float32 (h, w), of the image as stored, like network_input, uint8 (H, W)."""
        self._images.append(image)
        self._heatmaps.append(heatmap)
        self._inputs.append(network_input)
        self._patients.append(patient)

    def scores(self) -> dict[str, Any]:
        """See `score_heatmaps`; there must be an image."""
        return score_heatmaps(
            np.stack(self._heatmaps),
            self._images,
            network_inputs=np.stack(self._inputs),
            patients=np.array(self._patients),
        )


def score_heatmaps(
    heatmaps: Maps,
    images: Sequence[BoxedImage],
    *,
    network_inputs: NDArray[np.uint8],
    patients: NDArray[np.generic],
) -> dict[str, Any]:
    """Return means of `score` over n images, with 95 % intervals over patients, as JSON.

    On top the heatmap's, then those of each of `references`, with `<metric>_gain`: how much more
    the heatmap has on the same images. `unusual_places`: the same for the images whose boxes lie
    where those of the other images rarely do, since a map that only knows where pneumonia usually
    is scores well elsewhere. `kinds`: of each kind of heatmap, how many there are and how many
    peaks are hits of the pointing game, for the sentence about trust (see `describe_trust`).
    """
    body = inside_body(network_inputs)
    guesses = references(heatmaps, images)
    maps = {"heatmap": heatmaps, **guesses}
    scored = {name: score(one, images, body=body) for name, one in maps.items()}
    unusual = find_unusual(guesses["own_boxes"], guesses["mean_boxes"])
    return {
        **_summary(scored, images, patients),
        "kinds": hits_by_kind(measure_trust(heatmaps, network_inputs), scored["heatmap"]),
        "unusual_places": _summary(
            {name: _of(one, unusual) for name, one in scored.items()},
            [image for image, is_unusual in zip(images, unusual, strict=True) if is_unusual],
            patients[unusual],
        ),
    }


def hits_by_kind(trusts: Sequence[HeatmapTrust], scored: Scored) -> dict[str, dict[str, int]]:
    """Return images and hits of each kind of heatmap that occurs."""
    kinds = [kind_of(**vars(trust)) for trust in trusts]
    images = Counter(kinds)
    pairs = zip(kinds, scored["pointing_game"], strict=True)
    hits = Counter(kind for kind, is_hit in pairs if is_hit)
    return {kind: {"images": images[kind], "hits": hits[kind]} for kind in KINDS if images[kind]}


def _of(scored: Scored, chosen: NDArray[np.bool_]) -> Scored:
    return {metric: values[chosen] for metric, values in scored.items()}


def _summary(
    scored: Mapping[str, Scored], images: Sequence[BoxedImage], patients: NDArray[np.generic]
) -> dict[str, Any]:
    intervals = _intervals(scored, patients)
    return {
        "images": len(images),
        "patients": len(np.unique(patients)),
        "boxes": sum(len(image.boxes) for image in images),
        "share_inside_boxes": round(float(np.mean([_area(image) for image in images])), 4),
        **intervals.pop("heatmap"),
        **intervals,
    }


def inside_body(network_inputs: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """uint8 (n, H, W) -> bool (n, H / STEP, W / STEP), see `body_shares`."""
    rows, columns = (side // STEP for side in network_inputs.shape[1:])
    return body_shares(network_inputs, rows, columns) >= 0.5


def score(heatmaps: Maps, images: Sequence[BoxedImage], *, body: NDArray[np.bool_]) -> Scored:
    """Per image, float64 (n,) in [0, 1]; an empty heatmap scores 0.

    pointing_game: 1 where the peak lies in a box or no farther away than TOLERANCE
        (Zhang 2018, "Top-down neural attention by excitation backprop").
    mean_iou: intersection over union of what reaches SHARE_OF_PEAK with all boxes together.
    energy_inside: share of the map's sum in the boxes (Wang 2020, "Score-CAM").
    peak_outside_body: 1 where the peak lies in air. body: of the images, bool (n, rows, columns).
    """
    rows = [_score_one(*one) for one in zip(heatmaps, images, body, strict=True)]
    return dict(zip(METRICS, np.array(rows, np.float64).T, strict=True))


def _score_one(
    heatmap: NDArray[np.float32], image: BoxedImage, body: NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    drawn = smooth(heatmap, size=(SIZE, SIZE))
    if not drawn.max() > 0:
        return 0.0, 0.0, 0.0, 0.0
    boxes = image.mask(size=SIZE)
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    distance = image.distance(x=(column + 0.5) / SIZE, y=(row + 0.5) / SIZE)
    marked = drawn >= SHARE_OF_PEAK * drawn.max()
    iou = (marked & boxes).sum() / (marked | boxes).sum()
    in_air = not body[row * body.shape[0] // SIZE, column * body.shape[1] // SIZE]
    energy = float(drawn[boxes].sum() / drawn.sum())
    return float(distance <= TOLERANCE), float(iou), energy, float(in_air)


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


def find_unusual(own_boxes: Maps, mean_boxes: Maps) -> NDArray[np.bool_]:
    """Return the UNUSUAL_SHARE of n images, bool (n,), whose boxes lie where others' rarely do.

    By the most that others have in a place of these boxes: large boxes hold few, too.
    own_boxes, mean_boxes: as of `references`.
    """
    most = (own_boxes * mean_boxes).max(axis=(1, 2))
    count = max(round(UNUSUAL_SHARE * len(most)), 1)
    chosen = np.zeros(len(most), np.bool_)
    chosen[np.argsort(most, kind="stable")[:count]] = True
    return chosen


def _intervals(
    scored: Mapping[str, Scored], patients: NDArray[np.generic]
) -> dict[str, dict[str, Any]]:
    """Means with intervals, by name and metric; see `score_heatmaps`."""
    values = {(name, metric): scored[name][metric] for name in scored for metric in METRICS}
    values |= {
        (name, f"{metric}_gain"): scored["heatmap"][metric] - scored[name][metric]
        for name in scored
        for metric in METRICS
        if name != "heatmap"
    }
    found = bootstrap(
        lambda weights: {key: weights @ v / weights.sum(axis=1) for key, v in values.items()},
        patients=patients,
    )
    intervals: dict[str, dict[str, Any]] = {name: {} for name in scored}
    for (name, metric), interval in found.items():
        intervals[name][metric] = interval.as_json()
    return intervals


def _area(image: BoxedImage) -> float:
    return float(image.mask(size=SIZE).mean())
