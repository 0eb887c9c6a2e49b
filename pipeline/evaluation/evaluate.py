"""Evaluation: a model version's metrics on one set of labelled images."""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import DRAWS, Interval, bootstrap
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
        return Scores(
            self.labels[chosen],
            self.probabilities[chosen],
            self.unfamiliarities[chosen],
            self.patients[chosen],
        )


class ScoreCollector:
    """Collects predictions one by one, 25 bytes for each."""

    def __init__(self) -> None:
        self._labels = array("B")
        self._probabilities = array("d")
        self._unfamiliarities = array("d")
        self._patients = array("Q")

    def add(self, prediction: Prediction, *, label: int, patient: str) -> None:
        """label: 0 normal, 1 pneumonia."""
        digest = hashlib.blake2b(patient.encode(), digest_size=8).digest()
        self._labels.append(label)
        self._probabilities.append(prediction.probability)
        self._unfamiliarities.append(prediction.unfamiliarity)
        self._patients.append(int.from_bytes(digest, "big"))

    def scores(self) -> Scores:
        return Scores(
            np.array(self._labels, np.uint8),
            np.array(self._probabilities, np.float64),
            np.array(self._unfamiliarities, np.float64),
            np.array(self._patients, np.uint64),
        )


def collect(
    predictions: Iterable[Prediction], *, labels: Iterable[int], patients: Iterable[str]
) -> Scores:
    collector = ScoreCollector()
    for prediction, label, patient in zip(predictions, labels, patients, strict=True):
        collector.add(prediction, label=int(label), patient=str(patient))
    return collector.scores()


@dataclass(frozen=True)
class PointFigures:
    """Metrics at one operating point. figures: AT_THRESHOLD. confusion_matrix: image counts."""

    threshold: float
    figures: Mapping[str, Interval]
    confusion_matrix: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        return {
            **{name: self.figures[name].as_json() for name in AT_THRESHOLD},
            "confusion_matrix": dict(self.confusion_matrix),
            "threshold": self.threshold,
        }


@dataclass(frozen=True)
class Evaluation:
    """n: images, with or without a finding. unfamiliar: images without a finding, as out of
    distribution. figures: OVERALL. operating_point: the one that is meant when none is named.
    """

    model_version: str
    temperature: float
    operating_point: OperatingPoint
    n: int
    patients: int
    unfamiliar: int
    figures: Mapping[str, Interval]
    operating_points: Mapping[OperatingPoint, PointFigures]

    @property
    def chosen(self) -> PointFigures:
        return self.operating_points[self.operating_point]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON that cards and scripts read: names and shape are fixed."""
        return {
            "n": self.n,
            "patients": self.patients,
            **{name: self.figures[name].as_json() for name in OVERALL},
            **self.chosen.as_json(),
            "temperature": self.temperature,
            "operating_point": self.operating_point,
            "model_version": self.model_version,
            "unfamiliar": {"count": self.unfamiliar, "share": round(self.unfamiliar / self.n, 6)},
            "operating_points": {
                name: point.as_json() for name, point in self.operating_points.items()
            },
        }


def evaluate(
    scores: Scores, *, card: Card, operating_point: OperatingPoint = "balanced", draws: int = DRAWS
) -> Evaluation:
    """Compute all metrics, at all of the version's operating points.

    Metrics that need a missing class have the value None. Raises ValueError for no images.
    """
    if not len(scores):
        raise ValueError("expected at least one image, received none")
    once = np.ones((1, len(scores)))
    found = bootstrap(_figures_of(scores, card.thresholds), patients=scores.patients, draws=draws)
    return Evaluation(
        model_version=card.model_version,
        temperature=card.temperature,
        operating_point=operating_point,
        n=len(scores),
        patients=len(np.unique(scores.patients)),
        unfamiliar=int((scores.unfamiliarities > card.unfamiliarity_limit).sum()),
        figures={name: found["", name] for name in OVERALL},
        operating_points={
            point: PointFigures(
                threshold=threshold,
                figures={name: found[point, name] for name in AT_THRESHOLD},
                confusion_matrix={
                    name: int(count[0])
                    for name, count in confusion_matrix(
                        scores.labels, scores.probabilities >= threshold, weights=once
                    ).items()
                },
            )
            for point, threshold in card.thresholds.items()
        },
    )


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
