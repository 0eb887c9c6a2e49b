"""Decision curve: net benefit of acting on the probability (Vickers and Elkin 2006)."""

from typing import Any, Final

import numpy as np

from pipeline.evaluation.bootstrap import bootstrap
from pipeline.evaluation.evaluate import Scores
from pipeline.evaluation.metrics import Draws, ratio
from pipeline.prevalence import probability_at

THRESHOLDS: Final = tuple(round(n / 100, 2) for n in range(2, 100, 4))
_DRAWS: Final = 500


def decision_curve(
    scores: Scores, *, prevalence: float | None = None, draws: int = _DRAWS
) -> dict[str, Any] | None:
    """Return the net benefit by threshold probability, as JSON; None where a class is missing.

    At a threshold t, a false positive costs t / (1 - t) of what a found pneumonia is worth. For a
    prevalence in (0, 1), by default that of the images: probabilities are moved to it.
    `all`: the net benefit of calling every image pneumonia; of calling none it is 0.
    """
    is_positive = scores.labels == 1
    if is_positive.all() or not is_positive.any():
        return None
    share = float(is_positive.mean()) if prevalence is None else prevalence
    moved = [probability_at(one, prevalence=share) for one in scores.probabilities.tolist()]
    probabilities = np.array(moved)
    y_pred = probabilities[:, None] >= np.array(THRESHOLDS)  # (n, thresholds)

    def measure(weights: Draws) -> dict[float, Draws]:
        sensitivity = weights @ (is_positive[:, None] & y_pred)
        fall_out = weights @ (~is_positive[:, None] & y_pred)
        positives, negatives = weights @ is_positive, weights @ ~is_positive
        return {
            t: share * ratio(sensitivity[:, n], positives)
            - (1 - share) * ratio(fall_out[:, n], negatives) * t / (1 - t)
            for n, t in enumerate(THRESHOLDS)
        }

    found = bootstrap(measure, patients=scores.patients, draws=draws)
    return {
        "prevalence": round(share, 6),
        "points": [
            {
                "threshold": t,
                "net_benefit": found[t].as_json(),
                "all": round(share - (1 - share) * t / (1 - t), 6),
            }
            for t in THRESHOLDS
        ],
    }
