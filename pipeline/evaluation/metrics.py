"""Metrics of binary classification in numpy, all bootstrap draws at once.

y_true: uint8 (n,), 0 normal, 1 pneumonia. y_score: float (n,), higher for pneumonia; y_prob: the
same in [0, 1]. weights: float64 (d, n), how often each of d draws counts each image. Metrics come
as float64 (d,), nan where a draw lacks what the metric needs. One row of ones gives the metric
itself, so that a metric and its bootstrap interval come from the same code.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.uint8]
Draws = NDArray[np.float64]

METRICS: Final[Mapping[str, str]] = {  # labels for people, by the name in JSON
    "prevalence": "Prevalence",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1",
    "unanswered": "Unanswered",
}
OVERALL: Final = ("prevalence", "auroc", "average_precision", "brier", "ece")
AT_THRESHOLD: Final = ("accuracy", "sensitivity", "specificity", "precision", "f1")
CALIBRATION_BINS: Final = 10


def auroc(y_true: Labels, y_score: Floats) -> float:
    """Return the AUROC. Raises ValueError where one class is missing."""
    positives, negatives = int((y_true == 1).sum()), int((y_true == 0).sum())
    if not positives or not negatives:
        raise ValueError(f"expected both classes, received {positives} and {negatives}")
    return float(auroc_of_draws(y_true, y_score, weights=np.ones((1, len(y_true))))[0])


def auroc_of_draws(y_true: Labels, y_score: Floats, *, weights: Draws) -> Draws:
    """Return the chance that a positive scores above a negative, ties counting half.

    Mann-Whitney's U (Hanley and McNeil 1982).
    """
    positives, negatives = np.flatnonzero(y_true == 1), np.flatnonzero(y_true == 0)
    positives = positives[np.argsort(y_score[positives], kind="stable")]
    below = np.zeros((len(weights), len(positives) + 1))  # weight of the k lowest positives
    np.cumsum(weights[:, positives], axis=1, out=below[:, 1:])
    lower = np.searchsorted(y_score[positives], y_score[negatives], side="left")
    no_higher = np.searchsorted(y_score[positives], y_score[negatives], side="right")
    negative_weights = weights[:, negatives]
    pairs = below[:, -1] * negative_weights.sum(axis=1)
    lost = (negative_weights * (below[:, lower] + below[:, no_higher])).sum(axis=1) / 2
    return ratio(pairs - lost, pairs)


def average_precision(y_true: Labels, y_score: Floats, *, weights: Draws) -> Draws:
    """Return precision averaged over recall, without interpolation."""
    order = np.argsort(-y_score, kind="stable")
    ranked = y_score[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    sorted_weights = weights[:, order]
    # Positives and all images at each distinct score, highest first: (d, scores).
    positives = np.add.reduceat(sorted_weights * (y_true[order] == 1), starts, axis=1)
    everything = np.add.reduceat(sorted_weights, starts, axis=1)
    true_positives, predicted = np.cumsum(positives, axis=1), np.cumsum(everything, axis=1)
    precision = true_positives / np.maximum(predicted, 1)
    average = ratio((positives * precision).sum(axis=1), true_positives[:, -1])
    return np.where(predicted[:, -1] > true_positives[:, -1], average, np.nan)


def brier(y_true: Labels, y_prob: Floats, *, weights: Draws) -> Draws:
    """Return the mean squared difference of probability and label, in [0, 1] (Brier 1950)."""
    return ratio(weights @ (y_prob - (y_true == 1)) ** 2, weights.sum(axis=1))


def expected_calibration_error(y_true: Labels, y_prob: Floats, *, weights: Draws) -> Draws:
    """Return the mean difference of probability and frequency over equal bins (Naeini 2015).

    In [0, 1]. Each bin weighs as much as it has images. Chance adds to it where images are few,
    and once more in every draw, so its bootstrap interval lies somewhat high.
    """
    excess = y_prob - (y_true == 1)
    by_bin = weights @ (in_bins(y_prob) * excess[:, None])  # (d, bins)
    return ratio(np.abs(by_bin).sum(axis=1), weights.sum(axis=1))


def in_bins(y_prob: Floats) -> NDArray[np.float64]:
    """Return one-hot float64 (n, CALIBRATION_BINS) of equal bins; the last includes 1.0."""
    bins = np.minimum((y_prob * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    one_hot: NDArray[np.float64] = np.eye(CALIBRATION_BINS)[bins]
    return one_hot


def confusion_matrix(
    y_true: Labels, y_pred: NDArray[np.bool_], *, weights: Draws
) -> dict[str, Draws]:
    """Return the four counts. y_pred: bool (n,), predicted pneumonia."""
    is_positive = y_true == 1
    return {
        "true_positives": weights @ (is_positive & y_pred),
        "false_negatives": weights @ (is_positive & ~y_pred),
        "false_positives": weights @ (~is_positive & y_pred),
        "true_negatives": weights @ (~is_positive & ~y_pred),
    }


def rates(counts: Mapping[str, Draws]) -> dict[str, Draws]:
    """Return the metrics AT_THRESHOLD of a confusion matrix."""
    tp, fn = counts["true_positives"], counts["false_negatives"]
    fp, tn = counts["false_positives"], counts["true_negatives"]
    return {
        "accuracy": ratio(tp + tn, tp + fn + fp + tn),
        "sensitivity": ratio(tp, tp + fn),
        "specificity": ratio(tn, tn + fp),
        "precision": ratio(tp, tp + fp),
        "f1": ratio(2 * tp, 2 * tp + fn + fp),
    }


def ratio(part: Draws, whole: Draws) -> Draws:
    """Return part / whole; nan where whole is 0."""
    divided: Draws = np.full_like(whole, np.nan, dtype=np.float64)
    np.divide(part, whole, out=divided, where=whole > 0)
    return divided
