"""What stands between a strange picture and a confident answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NetworkFolderError
from pipeline.familiarity.distance import Familiarity, appearance
from pipeline.familiarity.orientation import Orientation

Floats = NDArray[np.float32]
FAMILIARITY_FILE: Final = "familiarity.npz"
SHIPPED: Final = Path(__file__).parents[1] / "baseline" / FAMILIARITY_FILE
# Fewer images do not say what is usual: their principal components are their own, and the limit
# would hang on the strangest one or two of the validation images.
LEAST_LEARNING, LEAST_VALIDATION = 300, 50


def is_enough_for_guard(*, learning: int, validation: int) -> bool:
    """Whether so many images can say what is usual. If not, an earlier guard is better kept."""
    return learning >= LEAST_LEARNING and validation >= LEAST_VALIDATION


def is_guard_of(card: Mapping[str, Any], digest: str) -> bool:
    """Whether a version's guard was made up for the snapshot of this digest.

    card: the whole of card.json. True where it was fitted to the snapshot's images
    (`familiarity.guard` is "fitted"), and where the snapshot is too small for that and the
    guard of the version that the training started from was kept on purpose ("kept").
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
    """What one version knows of usual images.

    are_roots: the features' square roots are judged (version folders of format 1).
    """

    features: Familiarity
    appearance: Familiarity
    orientation: Orientation
    are_roots: bool = False

    def unfamiliarity(
        self, network_inputs: NDArray[np.uint8], features: Floats
    ) -> NDArray[np.float64]:
        """uint8 (n, h, w) and float32 (n, channels) -> (n,): the worse of both judgements."""
        vectors = np.sqrt(np.maximum(features, 0)) if self.are_roots else features
        by_features = self.features.unfamiliarity(vectors)
        by_appearance = self.appearance.unfamiliarity(appearance(network_inputs))
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
            return cls(
                features=Familiarity.from_arrays(arrays, "features"),
                appearance=Familiarity.from_arrays(arrays, "appearance"),
                orientation=_orientation(path, arrays.get("orientation_weights")),
                are_roots="features_scale" not in arrays,
            )
        except (KeyError, ValueError, OSError) as error:
            raise NetworkFolderError(f"{path.name} in {path.parent} cannot be read") from error


def _orientation(path: Path, weights: Floats | None) -> Orientation:
    """Folders of format 1 have none; the shipped one fits any network, since it asks none."""
    if weights is not None:
        return Orientation(weights)
    if path == SHIPPED:
        raise KeyError("orientation_weights")
    return Guard.load(SHIPPED).orientation
