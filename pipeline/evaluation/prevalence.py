"""Probabilities and predictive values at a stated prevalence, by Bayes' rule."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FITTED_AT: Final = 0.5  # the prevalence that `fit_temperature` weighs the classes for


def shifted(
    probabilities: NDArray[np.float64], *, prevalence: float, fitted_at: float = FITTED_AT
) -> NDArray[np.float64]:
    """Return probabilities (n,) in [0, 1] for another prevalence in (0, 1).

    The prior's odds are exchanged (Saerens 2002); how pneumonia and normal images look must be
    the same at both.
    """
    positive = probabilities * prevalence / fitted_at
    negative = (1 - probabilities) * (1 - prevalence) / (1 - fitted_at)
    moved: NDArray[np.float64] = positive / (positive + negative)
    return moved


def probability_at(probability: float, *, prevalence: float) -> float:
    """Return one probability for another prevalence; see `shifted`."""
    return float(shifted(np.array([probability]), prevalence=prevalence)[0])


def predictive_values(
    *, sensitivity: float, specificity: float, prevalence: float
) -> tuple[float | None, float | None]:
    """Return the positive and the negative predictive value; None where nothing is predicted so."""
    found, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, true = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    ppv = found / (found + false) if found + false else None
    npv = true / (true + missed) if true + missed else None
    return ppv, npv
