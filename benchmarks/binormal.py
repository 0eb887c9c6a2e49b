"""Invented answers of two versions whose true quality is known: binormal scores.

Each patient has an ability to be told, shared by both versions; the rest is each version's own.
A version's AUROC is true of patients drawn without end; of few it is what chance makes of it.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.compare import Answers
from pipeline.evaluation.evaluate import Scores
from pipeline.types import OperatingPoint

_NORMAL = NormalDist()
_POINT: OperatingPoint = "balanced"


@dataclass(frozen=True)
class World:
    """patients: half of them with pneumonia. auroc: production's; gain: what the candidate's is
    above it. correlation: of both versions' scores within a finding. most_images: a patient has
    1 to so many, alike by `likeness`, the correlation between two of them. sensitivity: the true
    one of both versions, each at its own threshold.
    """

    patients: int
    auroc: float
    gain: float = 0.0
    correlation: float = 0.9
    most_images: int = 1
    likeness: float = 0.6
    sensitivity: float = 0.95

    def draw(self, random: np.random.Generator) -> tuple[Answers, Answers]:
        """Candidate and production on one invented test set."""
        images = random.integers(1, self.most_images + 1, size=self.patients)
        patient = np.repeat(np.arange(self.patients), images)
        labels = (patient % 2 == 0).astype(np.uint8)
        noise = self._noise(random, patient)
        candidate = self._answers("candidate", self.auroc + self.gain, labels, patient, noise[0])
        production = self._answers("production", self.auroc, labels, patient, noise[1])
        return candidate, production

    def _noise(self, random: np.random.Generator, patient: NDArray[np.intp]) -> NDArray[np.float64]:
        """Standard normal (2, n), correlated between versions and between a patient's images."""
        by_patient = self._pair(random, self.patients)[:, patient]
        by_image = self._pair(random, len(patient))
        if self.most_images == 1:
            return by_image
        both: NDArray[np.float64] = (
            self.likeness**0.5 * by_patient + (1 - self.likeness) ** 0.5 * by_image
        )
        return both

    def _pair(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        shared, own = random.standard_normal(count), random.standard_normal((2, count))
        pair: NDArray[np.float64] = (
            self.correlation**0.5 * shared + (1 - self.correlation) ** 0.5 * own
        )
        return pair

    def _answers(
        self,
        name: str,
        auroc: float,
        labels: NDArray[np.uint8],
        patient: NDArray[np.intp],
        noise: NDArray[np.float64],
    ) -> Answers:
        apart = 2**0.5 * _NORMAL.inv_cdf(auroc)  # of the findings' means, in standard deviations
        threshold = apart - _NORMAL.inv_cdf(self.sensitivity)
        scores = Scores(
            labels=labels,
            probabilities=_squashed(noise + apart * labels),
            unfamiliarities=np.zeros(len(labels)),
            patients=patient.astype(np.uint64),
        )
        return Answers(name, scores, _POINT, float(_squashed(np.array(threshold))), 0.5)


def with_gain(world: World, gain: float) -> World:
    return replace(world, gain=gain)


def _squashed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    squashed: NDArray[np.float64] = 1 / (1 + np.exp(-values))
    return squashed
