"""Fitting what usual images look like."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.appearance import appearance
from pipeline.familiarity import Familiarity, Guard, feature_vectors

Floats = NDArray[np.float32]
FEATURE_COMPONENTS = 64
APPEARANCE_COMPONENTS = 48
# Grown patients and other rooms look a little different from afar; negatives, films on their
# side and other body parts differ by far more than this margin.
APPEARANCE_MARGIN = 1.1
APPEARANCE_SHARE = 0.001  # of the validation images lie beyond the limit without the margin


def fit_guard(
    *,
    images: NDArray[np.uint8],
    features: Floats,
    validation_images: NDArray[np.uint8],
    validation_features: Floats,
    strange_share: float,
) -> Guard:
    """Fit to training images, plain and augmented, and set the limits on validation images.

    images: uint8 (n, h, w); features: float32 (n, channels), of the same images.
    """
    by_features = fit_familiarity(
        feature_vectors(features),
        feature_vectors(validation_features),
        strange_share=strange_share,
        components=FEATURE_COMPONENTS,
    )
    by_appearance = fit_familiarity(
        appearance(images),
        appearance(validation_images),
        strange_share=APPEARANCE_SHARE,
        components=APPEARANCE_COMPONENTS,
    )
    widened = replace(by_appearance, limit=APPEARANCE_MARGIN * by_appearance.limit)
    return Guard(features=by_features, appearance=widened)


def fit_familiarity(
    usual: Floats, validation: Floats, *, strange_share: float, components: int
) -> Familiarity:
    """Fit to usual vectors, float32 (n, channels); `strange_share` of `validation`, float32
    (m, channels), lie beyond the limit.
    """
    mean = usual.mean(axis=0, dtype=np.float64)
    centred = usual - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    order = np.argsort(values)[::-1][: min(components, len(values) - 1)]
    basis = vectors[:, order].astype(np.float16).astype(np.float32)  # as it is stored
    left = centred - (centred @ basis) @ basis.T
    unlimited = Familiarity(
        mean=mean.astype(np.float32),
        basis=basis,
        deviations=np.sqrt(np.maximum(values[order], 1e-12)).astype(np.float32),
        residual=float(np.sqrt((left**2).mean())) + 1e-12,
        limit=1.0,
    )
    limit = float(np.quantile(unlimited.distance(validation), 1 - strange_share))
    return replace(unlimited, limit=limit)
