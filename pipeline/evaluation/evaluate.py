"""Evaluation: a model version's metrics on one set of labelled images."""

import hashlib
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

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
from pipeline.types import OperatingPoint, Population, Prediction

READ_AS: Final[tuple[Population | None, ...]] = (None, *get_args(Population))
Figures = dict[tuple[str, str], Draws]


@dataclass(frozen=True)
class Scores:
    """Scores of n images.

    labels: uint8 (n,), 1 = pneumonia. probabilities, unfamiliarities: float64 (n,) in [0, 1].
    patients: uint64 (n,), a hash of each patient's name. populations: uint8 (n,), as whose image
    each was read: its place in `READ_AS`.
    """

    labels: Labels
    probabilities: NDArray[np.float64]
    unfamiliarities: NDArray[np.float64]
    patients: NDArray[np.uint64]
    populations: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: NDArray[np.bool_]) -> "Scores":
        return Scores(**{name: values[chosen] for name, values in vars(self).items()})


class ScoreCollector:
    """Collects predictions one by one, 26 bytes for each."""

    def __init__(self) -> None:
        # As those of Scores.
        self._columns: tuple[array[Any], ...] = tuple(map(array, "BddQB"))

    def add(self, prediction: Prediction, *, label: int, patient: str) -> None:
        """label: 0 normal, 1 pneumonia."""
        digest = hashlib.blake2b(patient.encode(), digest_size=8).digest()
        name = int.from_bytes(digest, "big")
        read_as = READ_AS.index(prediction.population)
        row = label, prediction.probability, prediction.unfamiliarity, name, read_as
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)

    def scores(self) -> Scores:
        return Scores(*(np.array(column) for column in self._columns))


def evaluate(scores: Scores, *, card: Card, draws: int = DRAWS) -> dict[str, Any]:
    """Return the JSON of all metrics, as cards, the database and scripts read it.

    OVERALL, `operating_points` with AT_THRESHOLD and the confusion matrix of each, and those of
    the card's own operating point on top; metrics with their interval, see `Interval.as_json`.
    `n`: images, with or without a finding; `unfamiliar`: those without. `threshold`: the one of
    images that state no population; where populations are read apart, `thresholds` has all.
    Metrics that need a missing class have the value None. Raises ValueError for no images.
    """
    if not len(scores):
        raise ValueError("expected at least one image, received none")
    is_unfamiliar = scores.unfamiliarities > card.unfamiliarity_limit
    predicted = {point: is_predicted(scores, card.at(point)) for point in card.thresholds}
    measure = _figures_of(scores, predicted, is_unfamiliar)
    found = bootstrap(measure, patients=scores.patients, draws=draws)
    points = {
        point: {
            **{name: found[point, name].as_json() for name in AT_THRESHOLD},
            "confusion_matrix": _counts(scores, y_pred),
            **_thresholds(card, point),
        }
        for point, y_pred in predicted.items()
    }
    unanswered = found["", "unanswered"].as_json()
    return {
        "n": len(scores),
        "patients": len(np.unique(scores.patients)),
        **{name: found["", name].as_json() for name in OVERALL},
        **points[card.operating_point],
        "temperature": card.temperature,
        "operating_point": card.operating_point,
        "model_version": card.model_version,
        "unfamiliar": {
            "count": int(is_unfamiliar.sum()),
            "share": unanswered["value"],
            "low": unanswered["low"],
            "high": unanswered["high"],
        },
        "operating_points": points,
    }


def is_predicted(scores: Scores, card: Card) -> NDArray[np.bool_]:
    """Return which are predicted pneumonia, bool (n,), with or without a finding, at the card's
    operating point, each at the threshold of the population as whose it was read.
    """
    thresholds = [card.calibration_of(one).thresholds[card.operating_point] for one in READ_AS]
    predicted: NDArray[np.bool_] = scores.probabilities >= np.array(thresholds)[scores.populations]
    return predicted


def _thresholds(card: Card, point: OperatingPoint) -> dict[str, Any]:
    apart = {name: one.thresholds[point] for name, one in card.populations.items()}
    return {"threshold": card.thresholds[point]} | ({"thresholds": apart} if apart else {})


def _counts(scores: Scores, y_pred: NDArray[np.bool_]) -> dict[str, int]:
    counts = confusion_matrix(scores.labels, y_pred, weights=np.ones((1, len(scores))))
    return {name: int(count[0]) for name, count in counts.items()}


def _figures_of(
    scores: Scores,
    predicted: Mapping[OperatingPoint, NDArray[np.bool_]],
    is_unfamiliar: NDArray[np.bool_],
) -> Callable[[Draws], Figures]:
    labels, probabilities = scores.labels, scores.probabilities

    def figures(weights: Draws) -> Figures:
        found: Figures = {
            ("", "prevalence"): ratio(weights @ (labels == 1), weights.sum(axis=1)),
            ("", "auroc"): auroc_of_draws(labels, probabilities, weights=weights),
            ("", "average_precision"): average_precision(labels, probabilities, weights=weights),
            ("", "brier"): brier(labels, probabilities, weights=weights),
            ("", "ece"): expected_calibration_error(labels, probabilities, weights=weights),
            ("", "unanswered"): ratio(weights @ is_unfamiliar, weights.sum(axis=1)),
        }
        for point, y_pred in predicted.items():
            counts = confusion_matrix(labels, y_pred, weights=weights)
            found |= {(point, name): values for name, values in rates(counts).items()}
        return found

    return figures
