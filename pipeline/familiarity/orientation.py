"""Orientation and polarity of an image, detected and corrected before the network.

A linear classifier of the thumbnail (see `appearance`), fitted by least squares to training images
in all eight orientations. Doubtful images are not corrected but carry a warning. A mirror image
cannot be detected: hearts lie on the right, too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity.distance import SIDE, appearance, product
from pipeline.upright import describe_orientation, upright

Floats = NDArray[np.float32]
WAYS = 8  # see `pipeline.upright`
# Margin of the best other orientation over the upright one. Above SURE an image is corrected (1 of
# 803 validation images and none of 157 of adults was so wrongly); above DOUBTFUL it has a warning.
SURE = 0.2
DOUBTFUL = -0.05
RIDGE = 0.01  # of the least squares
DOUBT = "the image may be rotated or inverted; it was not corrected"


@dataclass(frozen=True)
class Orientation:
    """weights: float32 (SIDE * SIDE + 1, WAYS); the last row is the constant."""

    weights: Floats

    def judge(self, thumbnails: Floats) -> tuple[NDArray[np.intp], list[str | None]]:
        """Return the orientations of n images, (n,) in 0 .. 7, and a warning for each.

        thumbnails: their `appearance`.
        """
        scores = product(thumbnails, self.weights[:-1]) + self.weights[-1]
        best = scores.argmax(axis=1)
        ahead = scores[:, 1:].max(axis=1) - scores[:, 0]
        ways = np.where(ahead > SURE, best, 0)
        sentences = [
            describe(int(way)) or (DOUBT if margin > DOUBTFUL else None)
            for way, margin in zip(ways, ahead, strict=True)
        ]
        return ways, sentences


def describe(way: int) -> str | None:
    """Return the warning about a correction; None for way 0."""
    seen = describe_orientation(way)
    return f"the image appears {seen}; corrected before reading" if seen else None


def corrected(network_inputs: NDArray[np.uint8], ways: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return uint8 (n, side, side) upright, given how each is stored."""
    if not ways.any():  # nearly always
        return network_inputs
    images = zip(network_inputs, ways, strict=True)
    return np.stack([upright(image, int(way)) for image, way in images])


def as_stored(heatmaps: Floats, ways: NDArray[np.intp]) -> Floats:
    """Return heatmaps (n, h, w) of corrected images, turned to fit the stored images."""
    if not ways.any():
        return heatmaps
    return np.stack([np.rot90(one, way % 4) for one, way in zip(heatmaps, ways, strict=True)])


def fit_orientation(network_inputs: NDArray[np.uint8]) -> Orientation:
    """Fit to upright images, uint8 (n, h, w), and to their mirror images."""
    thumbnails = appearance(network_inputs).reshape(-1, SIDE, SIDE)
    thumbnails = np.concatenate([thumbnails, thumbnails[:, :, ::-1]])
    size = SIDE * SIDE + 1
    square, product = np.zeros((size, size)), np.zeros((size, WAYS))
    for way in range(WAYS):
        sign = -1 if way >= 4 else 1
        turned = sign * np.rot90(thumbnails, way % 4, axes=(1, 2)).reshape(len(thumbnails), -1)
        inputs = np.column_stack([turned, np.ones(len(turned))]).astype(np.float64)
        square += inputs.T @ inputs
        product[:, way] = inputs.sum(axis=0)
    count = WAYS * len(thumbnails)
    weights = np.linalg.solve(square / count + RIDGE * np.eye(size), product / count)
    return Orientation(weights.astype(np.float32))
