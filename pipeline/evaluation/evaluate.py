"""Evaluation: a model version's metrics on one set of labelled images."""

import hashlib
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import DRAWS, bootstrap
from pipeline.evaluation.metrics import (
    AT_THRESHOLD,
    OVERALL,
    Draws,
    Labels,
    auroc_of_draws,
    average_precision,
    brier,
    confusion_matrix,
    expected_calibration_error,
    rates,
    ratio,
)
from pipeline.inference.version_folder import Card
from pipeline.types import OperatingPoint, Prediction

Figures = dict[tuple[str, str], Draws]


@dataclass(frozen=True)
class Scores:
    """Scores of n images.

    labels: uint8 (n,), 1 = pneumonia. probabilities, unfamiliarities: float64 (n,) in [0, 1].
    patients: uint64 (n,), a hash of each patient's name.
    """

    labels: Labels
    probabilities: NDArray[np.float64]
    unfamiliarities: NDArray[np.float64]
    patients: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: NDArray[np.bool_]) -> "Scores":
        return Scores(**{name: values[chosen] for name, values in vars(self).items()})


class ScoreCollector:
    """Collects predictions one by one, 25 bytes for each."""

    def __init__(self) -> None:
        # As those of Scores.
        self._columns: tuple[array[Any], ...] = array("B"), array("d"), array("d"), array("Q")

    def add(self, prediction: Prediction, *, label: int, patient: str) -> None:
        """label: 0 normal, 1 pneumonia."""
        digest = hashlib.blake2b(patient.encode(), digest_size=8).digest()
        name = int.from_bytes(digest, "big")
        row = label, prediction.probability, prediction.unfamiliarity, name
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)

    def scores(self) -> Scores:
        return Scores(*(np.array(column) for column in self._columns))


def evaluate(scores: Scores, *, card: Card, draws: int = DRAWS) -> dict[str, Any]:
    """Return the JSON of all metrics, as cards, the database and scripts read it.

    OVERALL, `operating_points` with AT_THRESHOLD and the confusion matrix of each, and those of
    the card's own operating point on top; metrics with their interval, see `Interval.as_json`.
    `n`: images, with or without a finding; `unfamiliar`: those without. Metrics that need a
    missing class have the value None. Raises ValueError for no images.
    """
    if not len(scores):
        raise ValueError("expected at least one image, received none")
    found = bootstrap(_figures_of(scores, card.thresholds), patients=scores.patients, draws=draws)
    points = {
        point: {
            **{name: found[point, name].as_json() for name in AT_THRESHOLD},
            "confusion_matrix": _counts(scores, threshold),
            "threshold": threshold,
        }
        for point, threshold in card.thresholds.items()
    }
    unfamiliar = int((scores.unfamiliarities > card.unfamiliarity_limit).sum())
    return {
        "n": len(scores),
        "patients": len(np.unique(scores.patients)),
        **{name: found["", name].as_json() for name in OVERALL},
        **points[card.operating_point],
        "temperature": card.temperature,
        "operating_point": card.operating_point,
        "model_version": card.model_version,
        "unfamiliar": {"count": unfamiliar, "share": round(unfamiliar / len(scores), 6)},
        "operating_points": points,
    }


def _counts(scores: Scores, threshold: float) -> dict[str, int]:
    counts = confusion_matrix(
        scores.labels, scores.probabilities >= threshold, weights=np.ones((1, len(scores)))
    )
    return {name: int(count[0]) for name, count in counts.items()}


def _figures_of(
    scores: Scores, thresholds: Mapping[OperatingPoint, float]
) -> Callable[[Draws], Figures]:
    labels, probabilities = scores.labels, scores.probabilities

    def figures(weights: Draws) -> Figures:
        found: Figures = {
            ("", "prevalence"): ratio(weights @ (labels == 1), weights.sum(axis=1)),
            ("", "auroc"): auroc_of_draws(labels, probabilities, weights=weights),
            ("", "average_precision"): average_precision(labels, probabilities, weights=weights),
            ("", "brier"): brier(labels, probabilities, weights=weights),
            ("", "ece"): expected_calibration_error(labels, probabilities, weights=weights),
        }
        for point, threshold in thresholds.items():
            counts = confusion_matrix(labels, probabilities >= threshold, weights=weights)
            found |= {(point, name): values for name, values in rates(counts).items()}
        return found

    return figures
