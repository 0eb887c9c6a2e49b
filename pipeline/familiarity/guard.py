"""The out-of-distribution check of a model version: no finding for unfamiliar images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NetworkFolderError
from pipeline.familiarity.distance import Familiarity
from pipeline.familiarity.orientation import Orientation

Floats = NDArray[np.float32]
FAMILIARITY_FILE: Final = "familiarity.npz"
SHIPPED: Final = Path(__file__).parents[1] / "baseline" / FAMILIARITY_FILE
# Fewer images do not describe a distribution: the principal components would be their own, and the
# limit would depend on one or two outliers among the validation images.
LEAST_LEARNING, LEAST_VALIDATION = 300, 50


def is_enough_for_guard(*, learning: int, validation: int) -> bool:
    """Whether a guard can be fitted to so many images. If not, the earlier one is better kept."""
    return learning >= LEAST_LEARNING and validation >= LEAST_VALIDATION


def is_guard_of(card: Mapping[str, Any], digest: str) -> bool:
    """Whether a version's guard belongs to the snapshot with this digest.

    card: the whole of card.json. True if fitted to the snapshot's images (`familiarity.guard` is
    "fitted"), or if kept from the version that training started from ("kept") because the
    snapshot is too small.
    """
    familiarity = card.get("familiarity", {})
    if familiarity.get("snapshot") != digest:
        return False
    if familiarity.get("guard") == "fitted":
        return True
    return not is_enough_for_guard(
        learning=familiarity.get("training_images", 0),
        validation=familiarity.get("validation_images", 0),
    )


@dataclass(frozen=True)
class Guard:
    """The check of one version.

    are_roots: it applies to the square roots of features (version folders of format 1).
    """

    features: Familiarity
    appearance: Familiarity
    orientation: Orientation
    are_roots: bool = False

    def unfamiliarity(self, thumbnails: Floats, features: Floats) -> NDArray[np.float64]:
        """Return the larger of both measures, (n,).

        thumbnails: the `appearance` of upright images. features: float32 (n, channels).
        """
        vectors = np.sqrt(np.maximum(features, 0)) if self.are_roots else features
        by_features = self.features.unfamiliarity(vectors)
        by_appearance = self.appearance.unfamiliarity(thumbnails)
        worse: NDArray[np.float64] = np.maximum(by_features, by_appearance)
        return worse

    def save(self, path: Path) -> None:
        parts = self.features.as_arrays("features") | self.appearance.as_arrays("appearance")
        weights = {"orientation_weights": self.orientation.weights}
        np.savez_compressed(path, **parts, **weights)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "Guard":
        """Raises NetworkFolderError."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = dict(stored)
            # Folders of format 1 have none; the shipped one does not depend on the network.
            weights = arrays.get("orientation_weights")
            return cls(
                features=Familiarity.from_arrays(arrays, "features"),
                appearance=Familiarity.from_arrays(arrays, "appearance"),
                orientation=(
                    cls.load(SHIPPED).orientation if weights is None else Orientation(weights)
                ),
                are_roots="features_scale" not in arrays,
            )
        except (KeyError, ValueError, OSError) as error:
            raise NetworkFolderError(f"{path.name} in {path.parent} cannot be read") from error
