"""Which way up a film is, and whether it is a negative: found, so that it is read as it should be.

A linear judgement of the thumbnail (see `appearance`), fitted by least squares to training images
turned all eight ways. What is doubtful is not turned, but said. A film mirrored left to right
cannot be told: hearts lie on the right, too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity.distance import SIDE, appearance

Floats = NDArray[np.float32]
WAYS = 8  # quarter turns, counter-clockwise, of the film; then the same of its negative
# How far the best other way is ahead of "as it should be". Above the first a film is turned: 1 of
# 803 validation images and none of 157 adults' was so without need. Between them it is said.
SURE = 0.2
DOUBTFUL = -0.05
DOUBT = "the film may be turned or inverted; it was read as it is stored"


@dataclass(frozen=True)
class Orientation:
    """weights: float32 (SIDE * SIDE + 1, WAYS); the last row is the constant."""

    weights: Floats

    def judge(self, network_inputs: NDArray[np.uint8]) -> tuple[NDArray[np.intp], list[str | None]]:
        """uint8 (n, h, w) -> which way each is stored, (n,) in 0 .. 7, and what to say of it."""
        thumbnails = appearance(network_inputs)
        scores = thumbnails @ self.weights[:-1] + self.weights[-1]
        best = scores.argmax(axis=1)
        ahead = scores[:, 1:].max(axis=1) - scores[:, 0]
        ways = np.where(ahead > SURE, best, 0)
        sentences = [
            in_words(int(way)) or (DOUBT if margin > DOUBTFUL else None)
            for way, margin in zip(ways, ahead, strict=True)
        ]
        return ways, sentences


def in_words(way: int) -> str | None:
    """What was corrected; None for way 0."""
    turns = {0: "", 1: "turned to the left", 2: "upside down", 3: "turned to the right"}
    seen = " and ".join(filter(None, [turns[way % 4], "inverted" if way >= 4 else ""]))
    return f"the film looked {seen}; it was read with that corrected" if seen else None


def corrected(network_inputs: NDArray[np.uint8], ways: NDArray[np.intp]) -> NDArray[np.uint8]:
    """uint8 (n, side, side), each stored in its way -> as they should be."""
    if not ways.any():  # as nearly all are
        return network_inputs
    upright = [
        np.rot90(255 - image if way >= 4 else image, -(way % 4))
        for image, way in zip(network_inputs, ways, strict=True)
    ]
    return np.stack(upright)


def as_stored(heatmaps: Floats, ways: NDArray[np.intp]) -> Floats:
    """float32 (n, h, w) of the corrected images -> to lie over the images as they are stored."""
    if not ways.any():
        return heatmaps
    return np.stack([np.rot90(one, way % 4) for one, way in zip(heatmaps, ways, strict=True)])


def fit_orientation(network_inputs: NDArray[np.uint8], *, ridge: float = 0.01) -> Orientation:
    """Fit to images that are as they should be, uint8 (n, h, w), and to their mirror images."""
    upright = appearance(network_inputs).reshape(-1, SIDE, SIDE)
    upright = np.concatenate([upright, upright[:, :, ::-1]])
    size = SIDE * SIDE + 1
    square, product = np.zeros((size, size)), np.zeros((size, WAYS))
    for way in range(WAYS):
        sign = -1 if way >= 4 else 1
        turned = sign * np.rot90(upright, way % 4, axes=(1, 2)).reshape(len(upright), -1)
        inputs = np.column_stack([turned, np.ones(len(turned))]).astype(np.float64)
        square += inputs.T @ inputs
        product[:, way] = inputs.sum(axis=0)
    count = WAYS * len(upright)
    weights = np.linalg.solve(square / count + ridge * np.eye(size), product / count)
    return Orientation(weights.astype(np.float32))
