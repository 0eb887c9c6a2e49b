"""Agreement of two versions, or of two precisions of one, on the same images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import DRAWS, bootstrap
from pipeline.evaluation.metrics import Draws, ratio
from pipeline.evaluation.versions.compare import Answers, compare

FINDINGS = 3  # normal, pneumonia, none


def agreement(ours: Answers, theirs: Answers, *, draws: int = DRAWS) -> dict[str, Any]:
    """Return as JSON how far the answers of both agree, and whose metrics are how much better.

    same_finding: share of the images with the same finding, or none in both. kappa: of Cohen
    (1960). probability_difference: mean of the absolute differences; largest_difference: the
    greatest. differences: ours minus theirs, with intervals, see `compare`. Raises ValueError for
    different images.
    """
    paired = compare("", ours, theirs, draws=draws)
    first, second = _one_hot(ours), _one_hot(theirs)  # (n, findings)
    is_same = (first * second).sum(axis=1)
    apart = np.abs(ours.scores.probabilities - theirs.scores.probabilities)

    def measure(weights: Draws) -> dict[str, Draws]:
        whole = weights.sum(axis=1)
        same = ratio(weights @ is_same, whole)
        by_chance = ratio(((weights @ first) * (weights @ second)).sum(axis=1), whole**2)
        return {
            "same_finding": same,
            "kappa": ratio(same - by_chance, 1 - by_chance),
            "probability_difference": ratio(weights @ apart, whole),
        }

    found = bootstrap(measure, patients=ours.scores.patients, draws=draws)
    pairs = {name: getattr(paired, name) for name in ("auroc", "sensitivity", "specificity")}
    return {
        "model_version": theirs.card.model_version,
        "precision": theirs.card.precision,
        **{name: one.as_json() for name, one in found.items()},
        "largest_difference": round(float(apart.max()), 6),
        "differences": {name: pair.difference.as_json() for name, pair in pairs.items()},
    }


def _one_hot(answers: Answers) -> NDArray[np.float64]:
    finding = np.where(answers.is_unanswered, FINDINGS - 1, answers.y_pred.astype(int))
    one_hot: NDArray[np.float64] = np.eye(FINDINGS)[finding]
    return one_hot
