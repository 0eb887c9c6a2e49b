"""How unlike the training images an image is.

The distance of Lee (2018), Mahalanobis's, on principal components, with what lies outside these
as one more direction. It is used twice: on the network's middle features, since strange pictures
excite them in combinations that no chest did, and on the image's appearance.

What an image looks like from afar: enough to tell a chest from what is none, or a negative.

The network's features answer to lungs wherever these lie; a thumbnail also sees a film that
lies on its side, shows another body part, or has the wrong polarity.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LIMIT = 0.5  # the unfamiliarity of an image exactly at the limit distance
# From here on, an answer comes with a warning: where the distance is two thirds of the limit's.
# With baseline-2, 6 % of the validation images and 85 % of the adults' films lie between.
WARNING_LIMIT = 0.3


@dataclass(frozen=True)
class Familiarity:
    """What usual vectors look like.

    mean, scale: float32 (channels,); vectors are centred and divided by them.
    basis: float32 (channels, k), orthonormal columns.
    deviations: float32 (k,), standard deviation along each. residual: typical length of what
    the basis leaves over. limit: the distance that counts as strange.
    """

    mean: Floats
    scale: Floats
    basis: Floats
    deviations: Floats
    residual: float
    limit: float

    def distance(self, vectors: Floats) -> NDArray[np.float64]:
        """float32 (n, channels) -> (n,), about 1 for usual images."""
        centred = (vectors - self.mean) / self.scale
        coordinates = centred @ self.basis
        left = centred - coordinates @ self.basis.T
        inside = np.mean((coordinates / self.deviations) ** 2, axis=1)
        outside = np.mean(left**2, axis=1) / self.residual**2
        distance: NDArray[np.float64] = np.sqrt((inside + outside) / 2)
        return distance

    def unfamiliarity(self, vectors: Floats) -> NDArray[np.float64]:
        """float32 (n, channels) -> (n,) in [0, 1): 0 usual, 0.5 at the limit, 1 strange."""
        square = (self.distance(vectors) / self.limit) ** 2
        unfamiliarity: NDArray[np.float64] = square / (1 + square)
        return unfamiliarity

    def as_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """For a file that may hold several; `name` tells them apart."""
        return {
            f"{name}_mean": self.mean,
            f"{name}_scale": self.scale,
            f"{name}_basis": self.basis.astype(np.float16),
            f"{name}_deviations": self.deviations,
            f"{name}_residual": np.array([self.residual]),
            f"{name}_limit": np.array([self.limit]),
        }

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


SIDE = 28
FLAT = 4.0  # grey levels; keeps empty pictures from being all noise


def appearance(network_inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (n, h, w) -> float32 (n, SIDE * SIDE), each of mean 0 and deviation about 1.

    Height and width must be at least SIDE; what does not divide is cut off.
    """
    n, height, width = network_inputs.shape
    rows, columns = height // SIDE, width // SIDE
    cut = network_inputs[:, : rows * SIDE, : columns * SIDE]
    blocks = cut.reshape(n, SIDE, rows, SIDE, columns)
    thumbnails = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(n, SIDE * SIDE)
    centred = thumbnails - thumbnails.mean(axis=1, keepdims=True)
    standard: NDArray[np.float32] = centred / (centred.std(axis=1, keepdims=True) + FLAT)
    return standard
