"""Drift: do a version's recent scores differ from its earlier ones?

Measured by the population stability index (PSI), the sum over bins of (p - q) ln(p / q). By a rule
of thumb of credit scoring (Siddiqi 2006), above 0.1 is some change and above 0.25 much. With few
images chance alone gives as much: for equal distributions the PSI is close to (1/n + 1/m) times a
chi-squared variable with bins - 1 degrees of freedom (Yurdakul 2018), which sets the limit here.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import Floats
from pipeline.text import percent, plural

DEGREES: Final = ("none", "some", "much")
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


def compare_windows(recent: Window, reference: Window) -> dict[str, Any] | None:
    """Compare two windows; None where the effective size of either is below MIN_EVIDENCE.

    Returns JSON: `probability` and `unfamiliarity` with the PSI (`index`, its mean and limit
    without drift, `corrected` for that mean) and the score's medians, `unanswered` with the shares
    without a finding, each with a `degree`, and the highest `degree` of them.
    """
    sizes = recent.evidence, reference.evidence
    if min(sizes) < MIN_EVIDENCE:
        return None
    found = {
        "probability": _shift(recent.probabilities, reference.probabilities, sizes=sizes),
        "unfamiliarity": _shift(recent.unfamiliarities, reference.unfamiliarities, sizes=sizes),
        "unanswered": _unanswered(recent.is_unanswered, reference.is_unanswered, sizes=sizes),
    }
    degree = max((one["degree"] for one in found.values()), key=DEGREES.index)
    return {**found, "degree": degree}


def stability_index(
    recent: Floats, reference: Floats, *, sizes: tuple[float, float]
) -> tuple[float, int]:
    """Return the PSI and the number of its bins, fewer than BINS where values are tied.

    Bins hold equal shares of the reference. sizes: effective sizes of both samples; half an
    image is added to each bin, so that an empty bin does not make the PSI infinite.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    shares = []
    for values, size in zip((recent, reference), sizes, strict=True):
        images = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        smoothed = images * (size / len(values)) + 0.5
        shares.append(smoothed / smoothed.sum())
    p, q = shares
    return float(((p - q) * np.log(p / q)).sum()), len(edges) + 1


def _shift(recent: Floats, reference: Floats, *, sizes: tuple[float, float]) -> dict[str, Any]:
    index, bins = stability_index(recent, reference, sizes=sizes)
    noise = 1 / sizes[0] + 1 / sizes[1]
    limit = noise * _chi_squared(1 - FALSE_ALARM_RATE, degrees=bins - 1)
    corrected = max(0.0, index - noise * (bins - 1))
    is_drift = index > limit and corrected > SOME
    numbers = {
        "index": index,
        "by_chance": noise * (bins - 1),
        "limit": limit,
        "corrected": corrected,
        "recent_median": np.median(recent),
        "reference_median": np.median(reference),
    }
    degree = ("much" if corrected > MUCH else "some") if is_drift else "none"
    return {name: round(float(value), 6) for name, value in numbers.items()} | {"degree": degree}


def _unanswered(
    recent: NDArray[np.bool_], reference: NDArray[np.bool_], *, sizes: tuple[float, float]
) -> dict[str, Any]:
    """Compare two proportions. score: their difference in standard errors, pooled variance."""
    pooled = (recent.sum() + reference.sum()) / (len(recent) + len(reference))
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / sizes[0] + 1 / sizes[1])))
    change = float(recent.mean() - reference.mean())
    score = change / error if error else 0.0
    limit = NormalDist().inv_cdf(1 - FALSE_ALARM_RATE / 2)
    is_drift = abs(score) > limit and abs(change) > MIN_UNANSWERED_CHANGE
    return {
        "recent": round(float(recent.mean()), 6),
        "reference": round(float(reference.mean()), 6),
        "score": round(score, 3),
        "degree": "some" if is_drift else "none",
    }


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
    drift: Mapping[str, Any] | None,
    recent: Window,
    reference: Window,
    *,
    days: int,
    days_before: int,
) -> str:
    """Return one or two sentences. drift: of `compare_windows`. days: of the recent window;
    days_before: of the reference.
    """
    windows = (
        f"{plural(len(recent), 'image')} of the last {days} days, "
        f"{plural(len(reference), 'image')} of the {days_before} days before"
    )
    if drift is None:
        return (
            f"Not enough images to measure drift: {windows}; at least {MIN_EVIDENCE} patients "
            "are needed in both periods."
        )
    if drift["degree"] == "none":
        return f"No drift: {windows}."
    degree, changes = {"some": "Moderate", "much": "Strong"}[drift["degree"]], _changes(drift)
    what = f"{degree} drift: scores differ from the reference period ({'; '.join(changes)})"
    return f"{what}. {windows}. {ADVICE}"


def _changes(drift: Mapping[str, Any]) -> Iterator[str]:
    for name in ("probability", "unfamiliarity"):
        shift = drift[name]
        if shift["degree"] != "none":
            yield (
                f"{name}: PSI {shift['corrected']:.2f} above chance, some from {SOME:g}, much from "
                f"{MUCH:g}; median {shift['recent_median']:.2f}, was "
                f"{shift['reference_median']:.2f}"
            )
    shares = drift["unanswered"]
    if shares["degree"] != "none":
        yield f"without a finding: {percent(shares['recent'])}, was {percent(shares['reference'])}"
