"""How good a set of scores is, in numpy. Labels are 0 normal, 1 pneumonia."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.uint8]


def auroc(labels: Labels, scores: Floats) -> float:
    """Chance that a pneumonia image scores above a normal one, ties counting half.

    Mann-Whitney's U by ranks (Hanley and McNeil 1982). Raises ValueError where one class is
    missing.
    """
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    if not positives or not negatives:
        raise ValueError(f"expected both classes, received {positives} and {negatives}")
    rank_sum = float(_average_ranks(scores)[labels == 1].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def _average_ranks(scores: Floats) -> NDArray[np.float64]:
    """1 for the smallest; equal scores share the mean of their ranks."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    mean_rank: NDArray[np.float64] = last - (count - 1) / 2
    return mean_rank[place]


@dataclass(frozen=True)
class Metrics:
    """At the stated threshold, with a 95 % interval of the AUROC where it was computed."""

    images: int
    patients: int
    auroc: float
    auroc_low: float | None
    auroc_high: float | None
    accuracy: float
    sensitivity: float
    specificity: float

    def as_json(self) -> dict[str, float | int | None]:
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def measure(
    labels: Labels,
    probabilities: Floats,
    *,
    patients: NDArray[np.str_],
    threshold: float,
    draws: int = 500,
) -> Metrics:
    """All figures; the interval from a bootstrap over patients, since their images go together."""
    positive = probabilities >= threshold
    low, high = _auroc_interval(labels, probabilities, patients=patients, draws=draws)
    return Metrics(
        images=len(labels),
        patients=len(np.unique(patients)),
        auroc=auroc(labels, probabilities),
        auroc_low=low,
        auroc_high=high,
        accuracy=float((positive == (labels == 1)).mean()),
        sensitivity=float(positive[labels == 1].mean()),
        specificity=float((~positive[labels == 0]).mean()),
    )


def _auroc_interval(
    labels: Labels, scores: Floats, *, patients: NDArray[np.str_], draws: int
) -> tuple[float | None, float | None]:
    random = np.random.default_rng(0)
    _, patient = np.unique(patients, return_inverse=True)
    order = np.argsort(patient, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(patient))[:-1])
    values = []
    for _ in range(draws):
        drawn = np.concatenate([groups[i] for i in random.integers(len(groups), size=len(groups))])
        if 0 < labels[drawn].sum() < len(drawn):
            values.append(auroc(labels[drawn], scores[drawn]))
    if not values:
        return None, None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
