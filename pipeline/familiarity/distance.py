"""Unfamiliarity: how far an image lies outside the distribution of the training images.

The Mahalanobis distance of Lee (2018) on principal components, with the residual outside them as
one more direction. It is used twice: on the network's middle features, and on a thumbnail, which
also shows a turned image, another body part or inverted polarity.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LIMIT = 0.5  # unfamiliarity at the limit distance
# A result above carries a warning; at two thirds of the limit distance. With baseline-2, 6 % of the
# validation images and 85 % of the adults' images lie between both limits.
WARNING_LIMIT = 0.3


@dataclass(frozen=True)
class Familiarity:
    """The distribution of vectors of training images.

    mean, scale: float32 (channels,), for standardising. basis: float32 (channels, k), orthonormal
    columns. deviations: float32 (k,), standard deviation along each. residual: root mean square of
    what the basis leaves. limit: the distance from which an image is out of distribution.
    """

    mean: Floats
    scale: Floats
    basis: Floats
    deviations: Floats
    residual: float
    limit: float

    def distance(self, vectors: Floats) -> NDArray[np.float64]:
        """Return the distance of float32 (n, channels), (n,), about 1 for training images."""
        centred = (vectors - self.mean) / self.scale
        coordinates = product(centred, self.basis)
        left = centred - product(coordinates, self.basis.T)
        inside = np.mean((coordinates / self.deviations) ** 2, axis=1)
        outside = np.mean(left**2, axis=1) / self.residual**2
        distance: NDArray[np.float64] = np.sqrt((inside + outside) / 2)
        return distance

    def unfamiliarity(self, vectors: Floats) -> NDArray[np.float64]:
        """Return (n,) in [0, 1) of float32 (n, channels): 0.5 at the limit, 1 infinitely far."""
        square = (self.distance(vectors) / self.limit) ** 2
        unfamiliarity: NDArray[np.float64] = square / (1 + square)
        return unfamiliarity

    def as_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return arrays for a file that holds several; `name` is their prefix."""
        arrays = {f"{name}_{part}": np.atleast_1d(value) for part, value in vars(self).items()}
        return arrays | {f"{name}_basis": self.basis.astype(np.float16)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]], name: str) -> "Familiarity":
        """Raises KeyError."""
        return cls(
            mean=arrays[f"{name}_mean"],
            scale=arrays.get(f"{name}_scale", np.ones_like(arrays[f"{name}_mean"])),
            basis=arrays[f"{name}_basis"].astype(np.float32),
            deviations=arrays[f"{name}_deviations"],
            residual=float(arrays[f"{name}_residual"][0]),
            limit=float(arrays[f"{name}_limit"][0]),
        )


def product(rows: Floats, matrix: Floats) -> Floats:
    """Return `rows @ matrix`, (n, c) and (c, k) -> (n, k), without BLAS.

    The threads of OpenBLAS spin for a while after each call; beside the network that takes fifty
    times as long as these small products.
    """
    result: Floats = np.einsum("nc,ck->nk", rows, matrix)
    return result


SIDE = 28
FLAT = 4.0  # grey levels; keeps blank images from being scaled to noise


def appearance(network_inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return standardised thumbnails of uint8 (n, h, w): float32 (n, SIDE * SIDE).

    h and w must be at least SIDE; the remainder of their division by SIDE is cut off.
    """
    n, height, width = network_inputs.shape
    rows, columns = height // SIDE, width // SIDE
    cut = network_inputs[:, : rows * SIDE, : columns * SIDE]
    # Sums of whole numbers are exact in float32, in whatever order; whole rows go fastest.
    sums = cut.reshape(n, SIDE, rows, SIDE * columns).sum(axis=2, dtype=np.float32)
    sums = sums.reshape(n, SIDE * SIDE, columns).sum(axis=2)
    thumbnails = sums / np.float32(rows * columns)
    centred = thumbnails - thumbnails.mean(axis=1, keepdims=True)
    standard: NDArray[np.float32] = centred / (centred.std(axis=1, keepdims=True) + FLAT)
    return standard
