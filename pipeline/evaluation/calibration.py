"""Calibration: the temperature of the logits, and the thresholds of the probability."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import Floats, Labels

LEAST_OF_GROUP = 20  # images of each class
THRESHOLD_RULE = (
    "the highest threshold, in hundredths, that still finds {floor:.0%} of the pneumonia images of "
    "the validation patients, as they are as well as with views of changed position, tone and "
    "sharpness among them"
)


def fit_temperature(
    labels: Labels, logits: Floats, *, weights: NDArray[np.float64] | None = None
) -> float:
    """Return the temperature in [0.2, 5] with the least log loss (Guo 2017).

    Both classes have equal weight, so that the probability is for a prevalence of one half; the
    public training set's three quarters are no clinic's prevalence. labels: (n,), 1 = pneumonia;
    logits: (n,); weights: (n,), instead of those.
    """
    weighing = balanced_weights(labels) if weights is None else weights
    candidates = np.geomspace(0.2, 5, 400)
    losses = [log_loss(labels, logits / t, weights=weighing) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def fit_offset_and_temperature(labels: Labels, logits: Floats) -> tuple[float, float]:
    """Return the offset and the temperature in [0.2, 20] with the least log loss (Platt 1999).

    The probability is the sigmoid of (logit - offset) / temperature; classes have equal weight.
    labels: (n,), 1 = pneumonia; logits: (n,).
    """
    weights = balanced_weights(labels)
    candidates = np.geomspace(0.2, 20, 120)[:, None]  # (temperatures, 1)
    low = np.full_like(candidates, float(np.min(logits)) - 100)
    high = np.full_like(candidates, float(np.max(logits)) + 100)
    for _ in range(50):
        # The loss is convex in the offset: halve towards where the mean probability is one half.
        middle = (low + high) / 2
        scaled = np.clip((logits - middle) / candidates, -60, 60)
        is_high = (weights / (1 + np.exp(-scaled))).mean(axis=1, keepdims=True) > 0.5
        low, high = np.where(is_high, middle, low), np.where(is_high, high, middle)
    offsets = ((low + high) / 2)[:, 0]
    losses = [
        log_loss(labels, (logits - offset) / temperature, weights=weights)
        for offset, temperature in zip(offsets, candidates[:, 0], strict=True)
    ]
    best = int(np.argmin(losses))
    return float(offsets[best]), float(candidates[best, 0])


def large_groups(
    labels: Labels, groups: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.bool_]]:
    """Return the groups with at least LEAST_OF_GROUP images of each class, if at least two.

    With fewer images chance would set the threshold of all. groups: bool (n,), by name.
    """
    large = {
        name: group
        for name, group in groups.items()
        if min(np.bincount(labels[group], minlength=2)) >= LEAST_OF_GROUP
    }
    return large if len(large) > 1 else {}


def even_weights(labels: Labels, groups: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return weights (n,) so that each group has the same weight, and in it each class.

    A site's few images thus count as much as a large imported set. Without groups all images are
    one; images of no group have weight 0.
    """
    if not groups:
        return balanced_weights(labels)
    weights = np.zeros(len(labels))
    for group in groups:
        weights[group] = balanced_weights(labels[group]) * len(labels) / group.sum() / len(groups)
    return weights


def balanced_weights(labels: Labels) -> NDArray[np.float64]:
    """Return weights (n,), so that each class has half of their sum n."""
    share = max(float((labels == 1).mean()), 1e-9)
    weights: NDArray[np.float64] = np.where(labels == 1, 0.5 / share, 0.5 / max(1 - share, 1e-9))
    return weights


def log_loss(labels: Labels, logits: Floats, *, weights: NDArray[np.float64]) -> float:
    """Return the weighted mean of the binary cross-entropy; all arguments are (n,)."""
    signed = np.where(labels == 1, logits, -logits).astype(np.float64)
    return float((weights * np.logaddexp(0, -signed)).mean())


def choose_threshold(labels: Labels, probabilities: Floats, *, sensitivity_floor: float) -> float:
    """Return the highest threshold, in hundredths, with at least this sensitivity.

    Not the one of best accuracy, which depends on the few errors of one hospital's patients and
    gives too many false positives elsewhere.
    """
    positives = np.sort(probabilities[labels == 1])
    missed = int(np.floor((1 - sensitivity_floor) * len(positives) + 1e-9))
    # It is read as a percentage; further digits are noise.
    return float(np.clip(np.floor(100 * positives[missed] + 1e-9) / 100, 0.01, 0.99))


def threshold_for_each(
    labels: Labels,
    probabilities: Floats,
    *,
    parts: Sequence[NDArray[np.bool_]],
    sensitivity_floor: float,
) -> float:
    """Return the highest threshold with at least this sensitivity in every part, bool (n,).

    Where one part is harder than the others, it costs these some specificity.
    """
    return min(
        choose_threshold(labels[part], probabilities[part], sensitivity_floor=sensitivity_floor)
        for part in parts
    )
