"""Fitting what usual features look like."""

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity import Familiarity

COMPONENTS = 64


def fit_familiarity(
    usual: NDArray[np.float32],
    validation: NDArray[np.float32],
    *,
    strange_share: float,
    components: int = COMPONENTS,
) -> Familiarity:
    """Fit to the features of training images, plain and augmented: float32 (n, channels).

    validation: float32 (m, channels); `strange_share` of these lie beyond the limit.
    """
    roots = np.sqrt(np.maximum(usual, 0)).astype(np.float64)
    mean = roots.mean(axis=0)
    centred = roots - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    order = np.argsort(values)[::-1][: min(components, len(values) - 1)]
    basis = vectors[:, order].astype(np.float16).astype(np.float32)  # as it is stored
    left = centred - (centred @ basis) @ basis.T
    unlimited = Familiarity(
        mean=mean.astype(np.float32),
        basis=basis,
        deviations=np.sqrt(np.maximum(values[order], 1e-12)).astype(np.float32),
        residual=float(np.sqrt((left**2).mean())),
        limit=1.0,
    )
    limit = float(np.quantile(unlimited.distance(validation), 1 - strange_share))
    return Familiarity(
        mean=unlimited.mean,
        basis=unlimited.basis,
        deviations=unlimited.deviations,
        residual=unlimited.residual,
        limit=limit,
    )
