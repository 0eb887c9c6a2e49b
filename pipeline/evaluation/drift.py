"""Drift: do a version's recent scores differ from its earlier ones?

Measured by the population stability index (PSI), the sum over bins of (p - q) ln(p / q). By a rule
of thumb of credit scoring (Siddiqi 2006), above 0.1 is some change and above 0.25 much. With few
images chance alone gives as much: for equal distributions the PSI is close to (1/n + 1/m) times a
chi-squared variable with bins - 1 degrees of freedom (Yurdakul 2018), which sets the limit here.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import Floats
from pipeline.text import percent, plural

Degree = Literal["none", "some", "much"]
BINS: Final = 10
SOME: Final = 0.1
MUCH: Final = 0.25
MIN_EVIDENCE: Final = 100  # images of different patients, in both windows
FALSE_ALARM_RATE: Final = 0.001  # of each measure: once in three years of nights
MIN_UNANSWERED_CHANGE: Final = 0.02  # of the share; smaller changes do not matter


@dataclass(frozen=True)
class Window:
    """Results of n different images.

    probabilities, unfamiliarities: float64 (n,) in [0, 1]. is_unanswered: bool (n,), no finding.
    patients: of each image; images of one patient are not independent.
    """

    probabilities: NDArray[np.float64]
    unfamiliarities: NDArray[np.float64]
    is_unanswered: NDArray[np.bool_]
    patients: Sequence[Hashable]

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def evidence(self) -> float:
        """Kish's effective sample size (1965), a patient's images taken as identical."""
        sizes = np.array(list(Counter(self.patients).values()), np.float64)
        return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


@dataclass(frozen=True)
class Shift:
    """PSI of one score. by_chance: its mean without drift; limit: exceeded without drift at
    FALSE_ALARM_RATE. The medians are of the score itself.
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
        names = ("index", "by_chance", "limit", "corrected", "recent_median", "reference_median")
        return {name: round(getattr(self, name), 6) for name in names} | {"degree": self.degree}


@dataclass(frozen=True)
class UnansweredShift:
    """Shares of images without a finding. score: their difference in standard errors."""

    recent: float
    reference: float
    score: float

    @property
    def degree(self) -> Degree:
        is_chance = abs(self.score) <= NormalDist().inv_cdf(1 - FALSE_ALARM_RATE / 2)
        is_small = abs(self.recent - self.reference) <= MIN_UNANSWERED_CHANGE
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
    """Compare two windows; None where the effective size of either is below MIN_EVIDENCE."""
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
    """Return the PSI and the number of its bins, fewer than `bins` where values are tied.

    Bins hold equal shares of the reference. counts: effective sizes of both samples; half an
    image is added to each bin, so that an empty bin does not make the PSI infinite.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    shares = []
    for values, count in zip((recent, reference), counts, strict=True):
        images = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        smoothed = images * (count / len(values)) + 0.5
        shares.append(smoothed / smoothed.sum())
    p, q = shares
    return float(((p - q) * np.log(p / q)).sum()), len(edges) + 1


def _shift(recent: Floats, reference: Floats, *, counts: tuple[float, float]) -> Shift:
    index, bins = stability_index(recent, reference, counts=counts)
    noise = 1 / counts[0] + 1 / counts[1]
    return Shift(
        index=index,
        by_chance=noise * (bins - 1),
        limit=noise * _chi_squared(1 - FALSE_ALARM_RATE, degrees=bins - 1),
        recent_median=float(np.median(recent)),
        reference_median=float(np.median(reference)),
    )


def _unanswered(
    recent: NDArray[np.bool_], reference: NDArray[np.bool_], *, counts: tuple[float, float]
) -> UnansweredShift:
    """Two proportions, by their pooled variance."""
    pooled = (recent.sum() + reference.sum()) / (len(recent) + len(reference))
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1])))
    difference = float(recent.mean() - reference.mean())
    score = difference / error if error else 0.0
    return UnansweredShift(float(recent.mean()), float(reference.mean()), score)


def _chi_squared(share: float, *, degrees: int) -> float:
    """Return the quantile, within a few percent (Wilson and Hilferty 1931)."""
    if not degrees:
        return 0.0
    part = 2 / (9 * degrees)
    return float(degrees * (1 - part + NormalDist().inv_cdf(share) * part**0.5) ** 3)


ADVICE = (
    "Check some recent images: another device, other settings or other patients may be the cause. "
    "Label some of them, so that the next training includes them."
)


def describe_drift(
    drift: Drift | None, recent: Window, reference: Window, *, days: int, days_before: int
) -> str:
    """Return one or two sentences. days: of the recent window; days_before: of the reference."""
    windows = (
        f"{plural(len(recent), 'image')} of the last {days} days, "
        f"{plural(len(reference), 'image')} of the {days_before} days before"
    )
    if drift is None:
        return (
            f"Not enough images to measure drift: {windows}; at least {MIN_EVIDENCE} patients "
            "are needed in both periods."
        )
    if drift.degree == "none":
        return f"No drift: {windows}."
    degree = "Strong" if drift.degree == "much" else "Moderate"
    changes = "; ".join(_changes(drift))
    return (
        f"{degree} drift: scores differ from the reference period ({changes}). {windows}. {ADVICE}"
    )


def _changes(drift: Drift) -> Iterator[str]:
    for name, shift in (("probability", drift.probability), ("unfamiliarity", drift.unfamiliarity)):
        if shift.degree != "none":
            yield (
                f"{name}: PSI {shift.corrected:.2f} above chance, some from {SOME:g}, much from "
                f"{MUCH:g}; median {shift.recent_median:.2f}, was {shift.reference_median:.2f}"
            )
    share = drift.unanswered
    if share.degree != "none":
        yield f"without a finding: {percent(share.recent)}, was {percent(share.reference)}"
