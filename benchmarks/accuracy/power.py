"""Power of the promotion gate, by number of patients and true gain.

    python -m benchmarks.accuracy.power
    python -m benchmarks.accuracy.power --auroc 0.9 --patients 100 300 900 --trials 40 --skip-equal

Simulated scores go through the comparison and decision of a night. The tables of docs/power.md
take 15 minutes on one core; the second form, for one site, takes a minute.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.evaluate import Scores
from pipeline.evaluation.metrics import auroc
from pipeline.evaluation.versions.compare import Answers, compare, level_of_each
from pipeline.evaluation.versions.promotion_gate import Gate, decide_promotion
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.types import OperatingPoint

PATIENTS = [50, 100, 200, 400, 800, 1600]
AUROCS = [0.95, 0.85]
CORRELATIONS = [0.9, 0.7]
GAINS = (0.0, 0.005, 0.01, 0.02, 0.05)
TRIALS = 200
EQUAL = 5  # times as many trials for equally good versions, whose share is small
DRAWS = 500  # a night takes 2000; the difference is below the tables' own error
# Nothing is required but the proof of being better.
OPEN = Gate(auroc_margin=1, sensitivity_margin=1, specificity_margin=1, min_patients=1)
GATE = Gate(min_patients=25)  # the defaults, but for the first column
_NORMAL = NormalDist()
_POINT: OperatingPoint = "balanced"
_CARD = load_card(BASELINE)


@dataclass(frozen=True)
class World:
    """Binormal scores of two versions whose true quality is known.

    patients: half of them with pneumonia. auroc: production's; gain: the candidate's, minus that.
    correlation: of both versions' scores within a finding. most_images: a patient has 1 to so
    many, whose scores correlate by `likeness`. sensitivity: of both versions, each at its own
    threshold.
    """

    patients: int
    auroc: float
    gain: float = 0.0
    correlation: float = 0.9
    most_images: int = 1
    likeness: float = 0.6
    sensitivity: float = 0.95

    def draw(self, random: np.random.Generator) -> tuple[Answers, Answers]:
        """Return candidate and production on one simulated test set."""
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
        distance = 2**0.5 * _NORMAL.inv_cdf(auroc)  # of the classes' means
        threshold = distance - _NORMAL.inv_cdf(self.sensitivity)
        scores = Scores(
            labels=labels,
            probabilities=_sigmoid(noise + distance * labels),
            unfamiliarities=np.zeros(len(labels)),
            patients=patient.astype(np.uint64),
            populations=np.zeros(len(labels), np.uint8),
        )
        thresholds = {_POINT: float(_sigmoid(np.array(threshold)))}
        calibration = replace(_CARD.calibration, thresholds=thresholds)
        card = replace(_CARD, model_version=name, calibration=calibration)
        return Answers(scores, card)


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    probabilities: NDArray[np.float64] = 1 / (1 + np.exp(-values))
    return probabilities


def share_of_yes(world: World, *, gate: Gate, trials: int, sets: int = 1) -> float:
    """Return the share of promotions; one seed for every gain, so that rows are comparable."""
    random = np.random.default_rng(world.patients)
    return sum(_is_yes(world, random, gate=gate, sets=sets) for _ in range(trials)) / trials


def _is_yes(world: World, random: np.random.Generator, *, gate: Gate, sets: int) -> bool:
    drawn = [world.draw(random) for _ in range(sets)]
    aurocs = [[auroc(a.scores.labels, a.scores.probabilities) for a in both] for both in drawn]
    if all(ours <= theirs for ours, theirs in aurocs):
        return False  # the interval of a difference that is not positive includes 0
    level = level_of_each(sets, level=gate.level)
    comparisons = [
        compare(f"set {n}", *both, level=level, draws=DRAWS) for n, both in enumerate(drawn)
    ]
    return decide_promotion(comparisons, gate=gate).is_yes


def equal_worlds() -> Iterator[tuple[World, int]]:
    """Yield worlds with their number of test sets."""
    for patients in (40, 200):
        for auroc_of_both in (0.85, 0.95):
            for most_images, sets in ((1, 1), (3, 1), (3, 2)):
                yield World(patients, auroc_of_both, most_images=most_images), sets
    yield World(200, 0.99, most_images=3), 1


def patients_for(power: float, shares: Sequence[float], patients: Sequence[int]) -> str:
    """Interpolate between two columns by the logarithm of the number of patients."""
    if shares[0] >= power:
        return f"at most {patients[0]}"
    for place in range(1, len(shares)):
        if shares[place] >= power:
            below, above = shares[place - 1], shares[place]
            part = (power - below) / (above - below)
            found = patients[place - 1] * (patients[place] / patients[place - 1]) ** part
            return f"about {round(found, -1):.0f}"
    return f"more than {patients[-1]}"


def print_power(world: World, *, patients: Sequence[int], trials: int) -> None:
    print(f"\nProduction's AUROC {world.auroc:g}, correlation {world.correlation:g}:\n")
    header = " | ".join(f"{count}" for count in patients)
    print(f"| true gain | {header} | for 80 % |\n|---|{'---|' * (len(patients) + 1)}", flush=True)
    for gain in (gain for gain in GAINS if world.auroc + gain < 1):
        shares = [
            share_of_yes(replace(world, gain=gain, patients=count), gate=GATE, trials=trials)
            for count in patients
        ]
        cells = " | ".join(f"{share:.1%}" for share in shares)
        needed = patients_for(0.8, shares, patients) if gain else "-"
        print(f"| {gain:g} | {cells} | {needed} |", flush=True)


def print_equal(trials: int) -> None:
    print("| patients | AUROC of both | images of a patient | test sets | yes |")
    print("|---|---|---|---|---|")
    for world, sets in equal_worlds():
        share = share_of_yes(world, gate=OPEN, trials=trials, sets=sets)
        images = "1" if world.most_images == 1 else f"1 to {world.most_images}"
        print(f"| {world.patients} | {world.auroc} | {images} | {sets} | {share:.1%} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    given = _read(arguments)
    if not given.skip_equal:
        print_equal(EQUAL * given.trials)
    for auroc_of_production in given.auroc:
        for correlation in given.correlation:
            world = World(0, auroc_of_production, correlation=correlation)
            print_power(world, patients=sorted(given.patients), trials=given.trials)


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    several: dict[str, Any] = {"nargs": "+", "metavar": "N"}
    parser.add_argument("--auroc", type=float, **several, default=AUROCS, help="production's")
    parser.add_argument(
        "--correlation", type=float, **several, default=CORRELATIONS, help="of both scores"
    )
    parser.add_argument(
        "--patients", type=int, **several, default=PATIENTS, help="of the test split"
    )
    parser.add_argument("--trials", type=int, default=TRIALS, help="for each share")
    parser.add_argument(
        "--skip-equal", action="store_true", help="leave out the false promotion rate"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
