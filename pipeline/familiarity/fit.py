"""Fitting the out-of-distribution check, to one population or several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity.distance import WARNING_LIMIT, Familiarity, appearance
from pipeline.familiarity.guard import LEAST_LEARNING, LEAST_VALIDATION, Guard
from pipeline.familiarity.orientation import fit_orientation

Floats = NDArray[np.float32]
Rows = NDArray[np.bool_]
FEATURE_COMPONENTS = 32
APPEARANCE_COMPONENTS = 48
# Of the validation images' 99th percentile: the limit. Chosen so that more than nine in ten of the
# adults' images get a finding, while photographs, other modalities and body parts lie beyond.
MARGIN = 1.3
BEYOND_SHARE = 0.01
# Of each population's validation images: more would carry the warning only where the limit, which
# then moves on, would be too near. Others of the population are a little farther away.
WARNED_SHARE = 0.05
UNFAMILIARITY_RULE = (
    f"{MARGIN:g} times farther from the training images than all but {BEYOND_SHARE:.0%} of the "
    "validation images of each population, by the network's middle features or by the thumbnail, "
    f"or farther, so that at most {WARNED_SHARE:.0%} of them carry the warning"
)


@dataclass(frozen=True)
class GuardImages:
    """n upright images to fit to.

    images: uint8 (n, h, w). features: float32 (n, channels), of the network. populations: (n,), a
    name for each, the same one where nothing is known.
    """

    images: NDArray[np.uint8]
    features: Floats
    populations: NDArray[np.str_]

    def weights(self) -> NDArray[np.float64]:
        """Return (n,) with a sum of 1 in which every population has the same share.

        One with fewer than LEAST_LEARNING images counts with the largest.
        """
        names, which, counts = np.unique(self.populations, return_inverse=True, return_counts=True)
        which = np.where(counts[which] < LEAST_LEARNING, counts.argmax(), which)
        counts = np.bincount(which, minlength=len(names))
        weights: NDArray[np.float64] = 1 / ((counts > 0).sum() * counts[which])
        return weights

    def parts(self) -> list[Rows]:
        """Return bool (n,): all images, and those of each population with LEAST_VALIDATION."""
        found = [self.populations == name for name in np.unique(self.populations)]
        large = [rows for rows in found if rows.sum() >= LEAST_VALIDATION]
        return [np.ones(len(self.populations), np.bool_), *large]


def fit_guard(training: GuardImages, validation: GuardImages) -> Guard:
    """Fit to training images, in which populations weigh the same, with limits from validation
    images that hold in each population.
    """
    weights, parts = training.weights(), validation.parts()
    thumbnails = appearance(validation.images)
    by_features = fit_familiarity(
        training.features,
        validation.features,
        components=FEATURE_COMPONENTS,
        weights=weights,
        parts=parts,
    )
    by_appearance = fit_familiarity(
        appearance(training.images),
        thumbnails,
        components=APPEARANCE_COMPONENTS,
        weights=weights,
        parts=parts,
    )
    guard = Guard(
        features=replace(by_features, limit=MARGIN * by_features.limit),
        appearance=replace(by_appearance, limit=MARGIN * by_appearance.limit),
        orientation=fit_orientation(training.images),
    )
    return _with_few_warnings(guard, guard.unfamiliarity(thumbnails, validation.features), parts)


def _with_few_warnings(
    guard: Guard, unfamiliarities: NDArray[np.float64], parts: Sequence[Rows]
) -> Guard:
    """Move both limits on until at most WARNED_SHARE of each part lies above WARNING_LIMIT."""
    highest = max(float(np.quantile(unfamiliarities[rows], 1 - WARNED_SHARE)) for rows in parts)
    factor = max(_distance(highest) / _distance(WARNING_LIMIT), 1.0)
    return replace(
        guard,
        features=replace(guard.features, limit=factor * guard.features.limit),
        appearance=replace(guard.appearance, limit=factor * guard.appearance.limit),
    )


def _distance(unfamiliarity: float) -> float:
    """Return the distance in units of the limit, see `Familiarity.unfamiliarity`."""
    return float(np.sqrt(unfamiliarity / (1 - unfamiliarity)))


def fit_familiarity(
    training: Floats,
    validation: Floats,
    *,
    components: int,
    weights: NDArray[np.float64],
    parts: Sequence[Rows],
) -> Familiarity:
    """Fit to training vectors, float32 (n, channels), with weights (n,) whose sum is 1.

    BEYOND_SHARE of each part, bool (m,), of `validation`, float32 (m, channels), lie beyond the
    limit, or fewer.
    """
    mean = weights @ training
    deviations = training - mean
    scale = np.sqrt(weights @ deviations**2) + 1e-6
    centred = deviations / scale
    values, vectors = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    order = np.argsort(values)[::-1][: min(components, len(values) - 1)]
    basis = vectors[:, order].astype(np.float16).astype(np.float32)  # as it is stored
    left = centred - (centred @ basis) @ basis.T
    unlimited = Familiarity(
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        basis=basis,
        deviations=np.sqrt(np.maximum(values[order], 1e-12)).astype(np.float32),
        residual=float(np.sqrt(weights @ (left**2).mean(axis=1))) + 1e-12,
        limit=1.0,
    )
    distances = unlimited.distance(validation)
    limits = [float(np.quantile(distances[rows], 1 - BEYOND_SHARE)) for rows in parts]
    return replace(unlimited, limit=max(limits))
