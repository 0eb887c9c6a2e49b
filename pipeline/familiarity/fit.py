"""Fitting the out-of-distribution check."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity.distance import Familiarity, appearance
from pipeline.familiarity.guard import Guard
from pipeline.familiarity.orientation import fit_orientation

Floats = NDArray[np.float32]
FEATURE_COMPONENTS = 32
APPEARANCE_COMPONENTS = 48
# Of the validation images' 99th percentile: the limit. Chosen so that more than nine in ten of the
# adults' images get a finding, while photographs, other modalities and body parts lie beyond.
MARGIN = 1.3
BEYOND_SHARE = 0.01
UNFAMILIARITY_RULE = (
    f"{MARGIN:g} times farther from the training images than all but {BEYOND_SHARE:.0%} of the "
    "validation images, by the network's middle features or by the thumbnail"
)


def fit_guard(
    *,
    images: NDArray[np.uint8],
    features: Floats,
    validation_images: NDArray[np.uint8],
    validation_features: Floats,
) -> Guard:
    """Fit to training images, with limits from validation images.

    images: uint8 (n, h, w); features: float32 (n, channels), of the same images.
    """
    by_features = fit_familiarity(features, validation_features, components=FEATURE_COMPONENTS)
    by_appearance = fit_familiarity(
        appearance(images), appearance(validation_images), components=APPEARANCE_COMPONENTS
    )
    return Guard(
        features=replace(by_features, limit=MARGIN * by_features.limit),
        appearance=replace(by_appearance, limit=MARGIN * by_appearance.limit),
        orientation=fit_orientation(images),
    )


def fit_familiarity(training: Floats, validation: Floats, *, components: int) -> Familiarity:
    """Fit to training vectors, float32 (n, channels).

    BEYOND_SHARE of `validation`, float32 (m, channels), lie beyond the limit.
    """
    mean = training.mean(axis=0, dtype=np.float64)
    scale = training.std(axis=0, dtype=np.float64) + 1e-6
    centred = (training - mean) / scale
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    order = np.argsort(values)[::-1][: min(components, len(values) - 1)]
    basis = vectors[:, order].astype(np.float16).astype(np.float32)  # as it is stored
    left = centred - (centred @ basis) @ basis.T
    unlimited = Familiarity(
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        basis=basis,
        deviations=np.sqrt(np.maximum(values[order], 1e-12)).astype(np.float32),
        residual=float(np.sqrt((left**2).mean())) + 1e-12,
        limit=1.0,
    )
    limit = float(np.quantile(unlimited.distance(validation), 1 - BEYOND_SHARE))
    return replace(unlimited, limit=limit)
