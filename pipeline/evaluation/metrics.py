"""How good a set of scores is, in numpy. Labels are 0 normal, 1 pneumonia.

`weights` is float64 (d, n): d draws, each saying how often every image counts. The figures come
as float64 (d,), nan where a draw lacks what the figure needs. A figure is that of the draw in
which every image counts once, so it and its bootstrap interval come from the same lines.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.uint8]
Draws = NDArray[np.float64]

CALIBRATION_BINS = 10


def auroc(labels: Labels, scores: Floats) -> float:
    """Chance that a pneumonia image scores above a normal one, ties counting half.

    Mann-Whitney's U (Hanley and McNeil 1982). Raises ValueError where one class is missing.
    """
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    if not positives or not negatives:
        raise ValueError(f"expected both classes, received {positives} and {negatives}")
    return float(auroc_of_draws(labels, scores, weights=np.ones((1, len(labels))))[0])


def auroc_of_draws(labels: Labels, scores: Floats, *, weights: Draws) -> Draws:
    ill, normal = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    ill = ill[np.argsort(scores[ill], kind="stable")]
    below = np.zeros((len(weights), len(ill) + 1))  # weight of so many lowest pneumonia images
    np.cumsum(weights[:, ill], axis=1, out=below[:, 1:])
    lower = np.searchsorted(scores[ill], scores[normal], side="left")
    no_higher = np.searchsorted(scores[ill], scores[normal], side="right")
    by_normal = weights[:, normal]
    pairs = below[:, -1] * by_normal.sum(axis=1)
    lost = (by_normal * (below[:, lower] + below[:, no_higher])).sum(axis=1) / 2
    return ratio(pairs - lost, pairs)


def average_precision(labels: Labels, scores: Floats, *, weights: Draws) -> Draws:
    """Precision averaged over recall, without interpolation; nan where one class is missing."""
    positives, negatives = _by_score(labels, scores, weights)
    found = np.cumsum(positives, axis=1)
    called = found + np.cumsum(negatives, axis=1)
    precision = found / np.maximum(called, 1)
    average = ratio((positives * precision).sum(axis=1), positives.sum(axis=1))
    return np.where(negatives.sum(axis=1) > 0, average, np.nan)


def _by_score(labels: Labels, scores: Floats, weights: Draws) -> tuple[Draws, Draws]:
    """Pneumonia and normal images at each distinct score, highest first: two of (d, scores)."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    sorted_weights = weights[:, order]
    positives = np.add.reduceat(sorted_weights * (labels[order] == 1), starts, axis=1)
    everything = np.add.reduceat(sorted_weights, starts, axis=1)
    return positives, everything - positives


def brier(labels: Labels, probabilities: Floats, *, weights: Draws) -> Draws:
    """Mean squared difference of probability and label, in [0, 1] (Brier 1950)."""
    return ratio(weights @ (probabilities - (labels == 1)) ** 2, weights.sum(axis=1))


def expected_calibration_error(
    labels: Labels, probabilities: Floats, *, weights: Draws, bins: int = CALIBRATION_BINS
) -> Draws:
    """Difference between the probability of pneumonia and its frequency, in [0, 1].

    Averaged over equally wide bins of probability, each weighing as much as it has images
    (Naeini 2015). Chance alone adds to it where images are few, and once more in every draw: the
    interval lies somewhat high.
    """
    excess = probabilities - (labels == 1)
    by_bin = weights @ (in_bins(probabilities, bins=bins) * excess[:, None])  # (d, bins)
    return ratio(np.abs(by_bin).sum(axis=1), weights.sum(axis=1))


def in_bins(probabilities: Floats, *, bins: int = CALIBRATION_BINS) -> NDArray[np.float64]:
    """(n,) in [0, 1] -> (n, bins): 1 in the bin that each lies in, else 0. The last holds 1.0."""
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    one_hot: NDArray[np.float64] = np.eye(bins)[place]
    return one_hot


def confusion_matrix(
    labels: Labels, is_called: NDArray[np.bool_], *, weights: Draws
) -> dict[str, Draws]:
    """Counts; is_called: what is called pneumonia."""
    is_ill = labels == 1
    return {
        "true_positives": weights @ (is_ill & is_called),
        "false_negatives": weights @ (is_ill & ~is_called),
        "false_positives": weights @ (~is_ill & is_called),
        "true_negatives": weights @ (~is_ill & ~is_called),
    }


def rates(counts: dict[str, Draws]) -> dict[str, Draws]:
    """The figures that a confusion matrix gives, pneumonia being the positive class."""
    hits, misses = counts["true_positives"], counts["false_negatives"]
    alarms, rightly_clear = counts["false_positives"], counts["true_negatives"]
    return {
        "accuracy": ratio(hits + rightly_clear, hits + misses + alarms + rightly_clear),
        "sensitivity": ratio(hits, hits + misses),
        "specificity": ratio(rightly_clear, rightly_clear + alarms),
        "precision": ratio(hits, hits + alarms),
        "f1": ratio(2 * hits, 2 * hits + misses + alarms),
    }


def ratio(part: Draws, whole: Draws) -> Draws:
    """nan where there is nothing to divide by."""
    divided: Draws = np.full_like(whole, np.nan, dtype=np.float64)
    np.divide(part, whole, out=divided, where=whole > 0)
    return divided
