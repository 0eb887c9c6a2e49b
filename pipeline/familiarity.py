"""How unlike the training images an image is.

The distance of Lee (2018), Mahalanobis's, on principal components, with what lies outside these
as one more direction. It is used twice: on the network's features, since strange pictures
excite them in combinations that no chest did, and on the image's appearance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.appearance import appearance
from pipeline.errors import NetworkFolderError

Floats = NDArray[np.float32]
LIMIT = 0.5  # the unfamiliarity of an image exactly at the limit distance
WARNING_LIMIT = 0.4  # from here on, an answer comes with a warning


def feature_vectors(features: Floats) -> Floats:
    """The network's pooled features, not negative, on a scale where they spread evenly."""
    roots: Floats = np.sqrt(np.maximum(features, 0))
    return roots


@dataclass(frozen=True)
class Familiarity:
    """What usual vectors look like.

    mean: float32 (channels,). basis: float32 (channels, k), orthonormal columns.
    deviations: float32 (k,), standard deviation along each. residual: typical length of what
    the basis leaves over. limit: the distance that counts as strange.
    """

    mean: Floats
    basis: Floats
    deviations: Floats
    residual: float
    limit: float

    def distance(self, vectors: Floats) -> NDArray[np.float64]:
        """float32 (n, channels) -> (n,), about 1 for usual images."""
        centred = vectors - self.mean
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
            basis=arrays[f"{name}_basis"].astype(np.float32),
            deviations=arrays[f"{name}_deviations"],
            residual=float(arrays[f"{name}_residual"][0]),
            limit=float(arrays[f"{name}_limit"][0]),
        )


@dataclass(frozen=True)
class Guard:
    """Both judgements of one network."""

    features: Familiarity
    appearance: Familiarity

    def unfamiliarity(
        self, network_inputs: NDArray[np.uint8], features: Floats
    ) -> NDArray[np.float64]:
        """uint8 (n, h, w) and float32 (n, channels) -> (n,): the worse of the two."""
        by_features = self.features.unfamiliarity(feature_vectors(features))
        by_appearance = self.appearance.unfamiliarity(appearance(network_inputs))
        worse: NDArray[np.float64] = np.maximum(by_features, by_appearance)
        return worse

    def save(self, path: Path) -> None:
        parts = self.features.as_arrays("features") | self.appearance.as_arrays("appearance")
        np.savez_compressed(path, **parts)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "Guard":
        """Raises NetworkFolderError."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(
                    features=Familiarity.from_arrays(arrays, "features"),
                    appearance=Familiarity.from_arrays(arrays, "appearance"),
                )
        except (KeyError, ValueError, OSError) as error:
            raise NetworkFolderError(f"{path.name} in {path.parent} cannot be read") from error
