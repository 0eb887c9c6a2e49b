"""The curves of an evaluation as numbers: ROC, precision and recall, calibration."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import bootstrap
from pipeline.evaluation.evaluate import Scores
from pipeline.evaluation.metrics import CALIBRATION_BINS, Draws, Floats, Labels, in_bins, ratio
from pipeline.types import LABELS

Values = NDArray[np.float64]
POINTS = 200
HISTOGRAM_BINS = 40
_BAND_DRAWS = 500


def roc_curve(labels: Labels, scores: Floats) -> tuple[Values, Values]:
    """Return false positive rate and sensitivity, both from 0 to 1, by falling threshold."""
    false, true = _counts(labels, scores)
    return false / false[-1], true / true[-1]


def precision_recall_curve(labels: Labels, scores: Floats) -> tuple[Values, Values]:
    """Return precision and recall, recall rising to 1, by falling threshold."""
    false, true = _counts(labels, scores)
    return true[1:] / (true + false)[1:], true[1:] / true[-1]


def roc_points(scores: Scores) -> list[list[float]]:
    """Return false positive rates and sensitivities; empty where one class is missing."""
    if len(np.unique(scores.labels)) < 2:
        return []
    return _thinned(*roc_curve(scores.labels, scores.probabilities))


def precision_recall_points(scores: Scores) -> list[list[float]]:
    """Return recalls and precisions; empty where one class is missing."""
    if len(np.unique(scores.labels)) < 2:
        return []
    precision, recall = precision_recall_curve(scores.labels, scores.probabilities)
    return _thinned(recall, precision)


def curves_as_json(scores: Scores) -> dict[str, Any]:
    """Return the curves that are stored with an evaluation: `roc` and `calibration`."""
    return {"roc": roc_points(scores), "calibration": reliability_curve(scores)}


def probability_counts(scores: Scores) -> dict[str, list[int]]:
    """Return histograms over [0, 1] by label."""
    counts = {}
    for name, label in LABELS.items():
        chosen = scores.probabilities[scores.labels == label]
        counts[name] = np.histogram(chosen, HISTOGRAM_BINS, (0, 1))[0].tolist()
    return counts


def _thinned(x: Values, y: Values) -> list[list[float]]:
    """Return at most POINTS points, evenly along the curve: enough for drawing."""
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    places = np.searchsorted(along, np.linspace(0, along[-1], POINTS) - 1e-9)
    chosen = np.unique(np.minimum(places, len(x) - 1))
    return [[round(float(x[n]), 6), round(float(y[n]), 6)] for n in chosen]


def _counts(labels: Labels, scores: Floats) -> tuple[Values, Values]:
    """False and true positives above all scores, then at each distinct score, highest first."""
    order = np.argsort(-scores, kind="stable")
    is_last = np.concatenate([np.diff(scores[order]) != 0, [True]])
    true = np.cumsum(labels[order] == 1)[is_last]
    called = np.flatnonzero(is_last) + 1
    start = np.zeros(1)
    return np.concatenate([start, called - true]), np.concatenate([start, true])


def reliability_curve(scores: Scores) -> list[dict[str, Any]]:
    """Return the bins of equal width that hold any image: [low, high), `frequency` of pneumonia."""
    bins = CALIBRATION_BINS
    members = in_bins(scores.probabilities)
    is_positive = members * (scores.labels == 1)[:, None]

    def frequencies(weights: Draws) -> dict[int, Draws]:
        found = ratio(weights @ is_positive, weights @ members)
        return {place: found[:, place] for place in range(bins)}

    by_bin = bootstrap(frequencies, patients=scores.patients, draws=_BAND_DRAWS)
    counts, probability_sums = members.sum(axis=0), scores.probabilities @ members
    return [
        {
            "low": place / bins,
            "high": (place + 1) / bins,
            "images": int(counts[place]),
            "mean_probability": round(float(probability_sums[place] / counts[place]), 6),
            "frequency": by_bin[place].as_json(),
        }
        for place in range(bins)
        if counts[place]
    ]
