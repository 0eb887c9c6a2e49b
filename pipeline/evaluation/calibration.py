"""From logits to probabilities that can be read as such, and to a threshold."""

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
    """The temperature in [0.2, 5] of least log loss, with both classes weighing the same.

    The probability is thus one for a prevalence of one half; the three quarters of the public
    training set are no clinic's prevalence. weights: (n,), where they are to weigh otherwise.
    """
    weighing = balanced_weights(labels) if weights is None else weights
    candidates = np.geomspace(0.2, 5, 400)
    losses = [_log_loss(labels, logits / t, weighing) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def large_groups(
    labels: Labels, groups: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.bool_]]:
    """Those with at least LEAST_OF_GROUP images of each class, if there are several such.

    A handful of images would let chance set a threshold for all.
    """
    large = {
        name: group
        for name, group in groups.items()
        if min(np.bincount(labels[group], minlength=2)) >= LEAST_OF_GROUP
    }
    return large if len(large) > 1 else {}


def even_weights(labels: Labels, groups: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """One weight per image: each group weighs the same, and in it each class does.

    So a site's few images are not drowned by a large imported set's. No groups: all are one.
    Images of no group weigh nothing.
    """
    if not groups:
        return balanced_weights(labels)
    weights = np.zeros(len(labels))
    for group in groups:
        weights[group] = balanced_weights(labels[group]) * len(labels) / group.sum() / len(groups)
    return weights


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


def threshold_for_each(
    labels: Labels,
    probabilities: Floats,
    *,
    parts: Sequence[NDArray[np.bool_]],
    sensitivity_floor: float,
) -> float:
    """The highest threshold whose sensitivity is at least the floor in every part, bool (n,).

    Where one part is harder than the others, it costs these some specificity.
    """
    return min(
        choose_threshold(labels[part], probabilities[part], sensitivity_floor=sensitivity_floor)
        for part in parts
    )
