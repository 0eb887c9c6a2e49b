"""How unlike the training images an image is, judged by the network's features.

The distance of Lee (2018), Mahalanobis's in the space of the network's features, here on their
principal components, with what lies outside these components as one more direction: strange
pictures excite features in combinations that no chest did.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LIMIT = 0.5  # the unfamiliarity of an image exactly at the limit distance


@dataclass(frozen=True)
class Familiarity:
    """What usual features look like.

    mean: float32 (channels,). basis: float32 (channels, k), orthonormal columns.
    deviations: float32 (k,), standard deviation along each. residual: typical length of what
    the basis leaves over. limit: the distance that counts as strange.
    """

    mean: Floats
    basis: Floats
    deviations: Floats
    residual: float
    limit: float

    def distance(self, features: Floats) -> NDArray[np.float64]:
        """float32 (n, channels) -> (n,), about 1 for usual images."""
        centred = np.sqrt(np.maximum(features, 0)) - self.mean
        coordinates = centred @ self.basis
        left = centred - coordinates @ self.basis.T
        inside = np.mean((coordinates / self.deviations) ** 2, axis=1)
        outside = np.mean(left**2, axis=1) / self.residual**2
        distance: NDArray[np.float64] = np.sqrt((inside + outside) / 2)
        return distance

    def unfamiliarity(self, features: Floats) -> NDArray[np.float64]:
        """float32 (n, channels) -> (n,) in [0, 1): 0 usual, 0.5 at the limit, 1 strange."""
        square = (self.distance(features) / self.limit) ** 2
        unfamiliarity: NDArray[np.float64] = square / (1 + square)
        return unfamiliarity

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            mean=self.mean,
            basis=self.basis.astype(np.float16),
            deviations=self.deviations,
            residual=self.residual,
            limit=self.limit,
        )

    @classmethod
    def load(cls, path: Path) -> "Familiarity":
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                mean=arrays["mean"],
                basis=arrays["basis"].astype(np.float32),
                deviations=arrays["deviations"],
                residual=float(arrays["residual"]),
                limit=float(arrays["limit"]),
            )
