"""The curves of an evaluation as numbers: receiver operating characteristic and the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.bootstrap import Interval, bootstrap
from pipeline.evaluation import Scores
from pipeline.metrics import CALIBRATION_BINS, Draws, Floats, Labels, in_bins, ratio

Values = NDArray[np.float64]
_BAND_DRAWS = 500


def roc_curve(labels: Labels, scores: Floats) -> tuple[Values, Values]:
    """False positive rate and sensitivity, both from 0 to 1, as the threshold falls."""
    false, true = _counts(labels, scores)
    return false / false[-1], true / true[-1]


def precision_recall_curve(labels: Labels, scores: Floats) -> tuple[Values, Values]:
    """Precision, and recall from its smallest to 1, as the threshold falls."""
    false, true = _counts(labels, scores)
    return true[1:] / (true + false)[1:], true[1:] / true[-1]


def _counts(labels: Labels, scores: Floats) -> tuple[Values, Values]:
    """False and true positives at no threshold, then at every distinct score, highest first."""
    order = np.argsort(-scores, kind="stable")
    is_last = np.concatenate([np.diff(scores[order]) != 0, [True]])
    true = np.cumsum(labels[order] == 1)[is_last]
    called = np.flatnonzero(is_last) + 1
    start = np.zeros(1)
    return np.concatenate([start, called - true]), np.concatenate([start, true])


@dataclass(frozen=True)
class CalibrationBin:
    """Images whose probability lies in [low, high): how many, what was said, what was so."""

    low: float
    high: float
    images: int
    mean_probability: float
    frequency: Interval


def reliability_curve(scores: Scores, *, bins: int = CALIBRATION_BINS) -> list[CalibrationBin]:
    """Bins of equal width that hold any image, with a bootstrap interval over patients."""
    members = in_bins(scores.probabilities, bins=bins)
    is_ill = members * (scores.labels == 1)[:, None]

    def frequencies(weights: Draws) -> dict[int, Draws]:
        found = ratio(weights @ is_ill, weights @ members)
        return {place: found[:, place] for place in range(bins)}

    by_bin = bootstrap(frequencies, patients=scores.patients, draws=_BAND_DRAWS)
    counts = members.sum(axis=0)
    return [
        CalibrationBin(
            low=place / bins,
            high=(place + 1) / bins,
            images=int(counts[place]),
            mean_probability=float(scores.probabilities @ members[:, place] / counts[place]),
            frequency=by_bin[place],
        )
        for place in range(bins)
        if counts[place]
    ]
