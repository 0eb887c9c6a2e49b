"""Has the world moved? Recent answers of a version beside its earlier ones.

The population stability index says how differently two samples are spread: the sum over bins of
(p - q) ln(p / q). By a rule of thumb of credit scoring (Siddiqi 2006) above 0.1 is some change and
above 0.25 much. Of small samples chance alone gives as much: with equal distributions the index
is, nearly, (1/n + 1/m) times a chi-squared variable with one degree of freedom less than there are
bins (Yurdakul 2018, Statistical properties of the population stability index).

What is said of drift: whether the world has moved, and what to do about it.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import Floats
from pipeline.text import plural

Degree = Literal["none", "some", "much"]
BINS: Final = 10
SOME: Final = 0.1
MUCH: Final = 0.25
MIN_EVIDENCE: Final = 100  # images of different patients, in both windows
# So rarely does chance pass for a shift, of each figure: once in three years of nights.
CHANCE: Final = 0.001
UNANSWERED: Final = 0.02  # a smaller change of the share is not worth a word


@dataclass(frozen=True)
class Window:
    """The answers to n different images.

    probabilities, unfamiliarities: float64 (n,) in [0, 1]. is_unanswered: bool (n,).
    patients: whose each image is; images of one patient count as one piece of evidence.
    """

    probabilities: NDArray[np.float64]
    unfamiliarities: NDArray[np.float64]
    is_unanswered: NDArray[np.bool_]
    patients: Sequence[Hashable]

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def evidence(self) -> float:
        """Kish's effective size (1965) if a patient's images are all alike: n where all differ."""
        sizes = np.array(list(Counter(self.patients).values()), np.float64)
        return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


@dataclass(frozen=True)
class Shift:
    """Of one figure. by_chance: what the index is on average if nothing has moved.

    limit: what it then exceeds with the chance `CHANCE`. medians: of the figure itself.
    """

    index: float
    by_chance: float
    limit: float
    recent_median: float
    reference_median: float

    @property
    def corrected(self) -> float:
        return max(0.0, self.index - self.by_chance)

    @property
    def degree(self) -> Degree:
        if self.index <= self.limit or self.corrected <= SOME:
            return "none"
        return "some" if self.corrected <= MUCH else "much"

    def as_json(self) -> dict[str, Any]:
        numbers = {
            "index": self.index,
            "by_chance": self.by_chance,
            "limit": self.limit,
            "corrected": self.corrected,
            "recent_median": self.recent_median,
            "reference_median": self.reference_median,
        }
        return {name: round(value, 6) for name, value in numbers.items()} | {"degree": self.degree}


@dataclass(frozen=True)
class UnansweredShift:
    """Shares of images without an answer. score: their difference in standard errors."""

    recent: float
    reference: float
    score: float

    @property
    def degree(self) -> Degree:
        is_chance = abs(self.score) <= NormalDist().inv_cdf(1 - CHANCE / 2)
        is_small = abs(self.recent - self.reference) <= UNANSWERED
        return "none" if is_chance or is_small else "some"

    def as_json(self) -> dict[str, Any]:
        return {
            "recent": round(self.recent, 6),
            "reference": round(self.reference, 6),
            "score": round(self.score, 3),
            "degree": self.degree,
        }


@dataclass(frozen=True)
class Drift:
    probability: Shift
    unfamiliarity: Shift
    unanswered: UnansweredShift

    @property
    def degree(self) -> Degree:
        found = {self.probability.degree, self.unfamiliarity.degree, self.unanswered.degree}
        return "much" if "much" in found else "some" if "some" in found else "none"

    def as_json(self) -> dict[str, Any]:
        return {
            "probability": self.probability.as_json(),
            "unfamiliarity": self.unfamiliarity.as_json(),
            "unanswered": self.unanswered.as_json(),
            "degree": self.degree,
        }


def compare_windows(recent: Window, reference: Window) -> Drift | None:
    """None where either's evidence is below MIN_EVIDENCE."""
    counts = recent.evidence, reference.evidence
    if min(counts) < MIN_EVIDENCE:
        return None
    return Drift(
        probability=_shift(recent.probabilities, reference.probabilities, counts=counts),
        unfamiliarity=_shift(recent.unfamiliarities, reference.unfamiliarities, counts=counts),
        unanswered=_unanswered(recent.is_unanswered, reference.is_unanswered, counts=counts),
    )


def stability_index(
    recent: Floats, reference: Floats, *, counts: tuple[float, float], bins: int = BINS
) -> tuple[float, int]:
    """The index, and of how many bins: fewer than asked for where values are tied.

    Bins hold equal shares of the reference. counts: what either sample's evidence is; half an
    image is added to each bin's, so that an empty one does not make the index infinite.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    shares = []
    for values, count in zip((recent, reference), counts, strict=True):
        images = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        smoothed = images * (count / len(values)) + 0.5
        shares.append(smoothed / smoothed.sum())
    p, q = shares
    return float(((p - q) * np.log(p / q)).sum()), len(edges) + 1


def _noise(counts: tuple[float, float]) -> float:
    return 1 / counts[0] + 1 / counts[1]


def _shift(recent: Floats, reference: Floats, *, counts: tuple[float, float]) -> Shift:
    index, bins = stability_index(recent, reference, counts=counts)
    return Shift(
        index=index,
        by_chance=_noise(counts) * (bins - 1),
        limit=_noise(counts) * _chi_squared(1 - CHANCE, degrees=bins - 1),
        recent_median=float(np.median(recent)),
        reference_median=float(np.median(reference)),
    )


def _unanswered(
    recent: NDArray[np.bool_], reference: NDArray[np.bool_], *, counts: tuple[float, float]
) -> UnansweredShift:
    """Two proportions, by their pooled variance."""
    both = (recent.sum() + reference.sum()) / (len(recent) + len(reference))
    error = float(np.sqrt(both * (1 - both) * _noise(counts)))
    difference = float(recent.mean() - reference.mean())
    score = difference / error if error else 0.0
    return UnansweredShift(float(recent.mean()), float(reference.mean()), score)


def _chi_squared(share: float, *, degrees: int) -> float:
    """The quantile, to a few percent at worst (Wilson and Hilferty 1931)."""
    if not degrees:
        return 0.0
    part = 2 / (9 * degrees)
    return float(degrees * (1 - part + NormalDist().inv_cdf(share) * part**0.5) ** 3)


LOOK = (
    "Look at some of the latest images: another device, other settings or other patients may be "
    "behind it. Label some of them, so that the next night can learn from them."
)


def describe_drift(
    drift: Drift | None, recent: Window, reference: Window, *, days: int, days_before: int
) -> str:
    """One or two plain sentences. days: of the recent window; days_before: of the reference."""
    came = f"{plural(len(recent), 'image')} of the last {days} days"
    before = f"{plural(len(reference), 'image')} of the {days_before} days before"
    if drift is None:
        return (
            f"Too few images to tell whether anything has moved: {came}, {before}, and it takes "
            f"those of about {MIN_EVIDENCE} different patients in both."
        )
    if drift.degree == "none":
        return f"Nothing has moved: {came} are answered as {before} were."
    moved = "; ".join(_moved(drift))
    much = "much" if drift.degree == "much" else "somewhat"
    return f"The world has moved {much}: {came} are not answered as {before} were ({moved}). {LOOK}"


def _moved(drift: Drift) -> list[str]:
    shifts = {"probability": drift.probability, "unfamiliarity": drift.unfamiliarity}
    found = [_shifted(name, shift) for name, shift in shifts.items() if shift.degree != "none"]
    share = drift.unanswered
    if share.degree != "none":
        found.append(f"{share.recent:.1%} got no answer, before {share.reference:.1%}")
    return found


def _shifted(name: str, shift: Shift) -> str:
    return (
        f"{name}: stability index {shift.corrected:.2f} beyond chance, above {SOME:g} is some and "
        f"above {MUCH:g} much; median {shift.recent_median:.2f}, before "
        f"{shift.reference_median:.2f}"
    )
