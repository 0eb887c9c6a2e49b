"""Probabilities and predictive values at a stated prevalence, by Bayes' rule."""

from typing import Final

FITTED_AT: Final = 0.5  # the prevalence that calibrations weigh the classes for


def probability_at(probability: float, *, prevalence: float) -> float:
    """Return a calibrated probability for another prevalence in (0, 1).

    The prior's odds are exchanged (Saerens 2002); how pneumonia and normal images look must be
    the same at both.
    """
    positive = probability * prevalence / FITTED_AT
    negative = (1 - probability) * (1 - prevalence) / (1 - FITTED_AT)
    return positive / (positive + negative)


def predictive_values(
    *, sensitivity: float, specificity: float, prevalence: float
) -> tuple[float | None, float | None]:
    """Return the positive and the negative predictive value; None where nothing is predicted so."""
    found, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, true = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    ppv = found / (found + false) if found + false else None
    npv = true / (true + missed) if true + missed else None
    return ppv, npv
