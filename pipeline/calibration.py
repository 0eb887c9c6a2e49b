"""From logits to probabilities that can be read as such, and to a threshold."""

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics import Floats, Labels

THRESHOLD_RULE = (
    "the highest threshold, in hundredths, that still finds {floor:.0%} of the pneumonia images of "
    "the validation patients, as they are as well as with views of changed position, tone and "
    "sharpness among them"
)


def probability_of(logits: Floats, *, temperature: float) -> NDArray[np.float64]:
    """Calibrated probability in [0, 1] (Guo 2017, temperature scaling)."""
    scaled = np.clip(np.asarray(logits, np.float64) / temperature, -60, 60)
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-scaled))
    return probability


def fit_temperature(labels: Labels, logits: Floats) -> float:
    """The temperature in [0.2, 5] of least log loss, with both classes weighing the same.

    The probability is thus one for a prevalence of one half; the three quarters of the public
    training set are no clinic's prevalence.
    """
    weights = balanced_weights(labels)
    candidates = np.geomspace(0.2, 5, 400)
    losses = [_log_loss(labels, logits / t, weights) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def balanced_weights(labels: Labels) -> NDArray[np.float64]:
    """One weight per image, so that each class's sum is half of the number of images."""
    share = max(float((labels == 1).mean()), 1e-9)
    weights: NDArray[np.float64] = np.where(labels == 1, 0.5 / share, 0.5 / max(1 - share, 1e-9))
    return weights


def _log_loss(labels: Labels, logits: Floats, weights: NDArray[np.float64]) -> float:
    signed = np.where(labels == 1, logits, -logits).astype(np.float64)
    return float((weights * np.logaddexp(0, -signed)).mean())


def choose_threshold(labels: Labels, probabilities: Floats, *, sensitivity_floor: float) -> float:
    """The highest threshold, in hundredths, whose sensitivity is at least the floor.

    Not the one of best accuracy: that sits among the few mistakes of this one hospital's
    patients, and elsewhere calls too many normal images pneumonia.
    """
    positives = np.sort(probabilities[labels == 1])
    missed = int(np.floor((1 - sensitivity_floor) * len(positives) + 1e-9))
    # People read and compare it as a percentage; further digits are chance.
    return float(np.clip(np.floor(100 * positives[missed] + 1e-9) / 100, 0.01, 0.99))
