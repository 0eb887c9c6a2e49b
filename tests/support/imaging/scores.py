"""Scores of test images, and the cards to judge them by."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.evaluation.evaluate import Scores
from pipeline.inference.version_folder import BASELINE, Card, load_card
from pipeline.types import OperatingPoint

SHIPPED = load_card(BASELINE)


def make_scores(
    labels: Sequence[int], probabilities: Sequence[float], *, patients: Sequence[int] | None = None
) -> Scores:
    """Of familiar images, each of its own patient unless given."""
    count = len(labels)
    return Scores(
        np.array(labels, np.uint8),
        np.array(probabilities, np.float64),
        np.full(count, 0.1),
        np.array(patients or range(count), np.uint64),
        np.zeros(count, np.uint8),
    )


def card_at(balanced: float, sensitive: float = 0.1) -> Card:
    """The shipped card with other thresholds."""
    points: dict[OperatingPoint, float] = {"balanced": balanced, "sensitive": sensitive}
    return replace(SHIPPED, calibration=replace(SHIPPED.calibration, thresholds=points))
