"""May a candidate replace production? Decided from comparisons alone, and refused by default.

Every decision gives its reason in one sentence. "Worse" is distinguished from "not shown to be no
worse", for which more labelled patients may be enough.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.evaluation.bootstrap import LEVEL, Interval
from pipeline.evaluation.versions.compare import FIGURES, Comparison, Pair, level_of_each
from pipeline.text import percent, plural


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is required of a candidate.

    auroc_margin, sensitivity_margin: a larger loss must be excluded on every test set.
    min_patients: of each finding, in every test set.
    level: of the intervals, of all test sets together. At equal quality, half of what it lacks
        to 1 is the nominal chance of a "yes"; see docs/power.md for the measured one.
    specificity_margin, unanswered_margin: larger losses are refused where chance does not
        explain them. They are milder, since a false positive costs less than a missed finding.
    """

    auroc_margin: float = 0.02
    sensitivity_margin: float = 0.05
    min_patients: int = 30
    level: float = LEVEL
    specificity_margin: float = 0.1
    unanswered_margin: float = 0.02


@dataclass(frozen=True)
class Decision:
    """reason: one sentence with the numbers, for a "yes" too."""

    is_yes: bool
    reason: str
    comparisons: tuple[Comparison, ...]
    gate: Gate

    def as_json(self) -> dict[str, Any]:
        return {
            "is_yes": self.is_yes,
            "reason": self.reason,
            "gate": asdict(self.gate),
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
        }


def decide_promotion(
    comparisons: Sequence[Comparison], *, gate: Gate, is_guard_refreshed: bool = True
) -> Decision:
    """Promote if nowhere worse by more than the margins, and better on at least one test set.

    comparisons: one for each test set, with intervals of at least
        `level_of_each(len(comparisons))`, else ValueError.
    is_guard_refreshed: the out-of-distribution check was fitted to the candidate.
    """
    needed = level_of_each(len(comparisons), level=gate.level)
    for comparison in comparisons:
        if comparison.level < needed - 1e-9:
            raise ValueError(
                f"{comparison.name}: expected intervals of {needed:.2%} for {len(comparisons)} "
                f"test sets, received {comparison.level:.2%}"
            )
    objection = next(_objections(comparisons, gate, is_guard_refreshed=is_guard_refreshed), None)
    if objection:
        return Decision(False, objection, tuple(comparisons), gate)
    best = _best(comparisons)
    reason = f"Better {_on(best)}: {_aurocs(best)}; no test set worse by more than the margins."
    return Decision(True, reason, tuple(comparisons), gate)


def _objections(
    comparisons: Sequence[Comparison], gate: Gate, *, is_guard_refreshed: bool
) -> Iterator[str]:
    """Most serious first; only the first is reported."""
    if not comparisons:
        yield "Not enough evidence: no labelled test images."
        return
    if not is_guard_refreshed:
        yield "Refused: the candidate's out-of-distribution check was not fitted to it."
    for check in _CHECKS:
        for comparison in comparisons:
            if sentence := check(comparison, gate):
                yield sentence
    best = _best(comparisons)
    if not _bounds(best.auroc.difference)[0] > 0:
        yield f"Refused: not shown to be better on any test set; {_on(best)} {_aurocs(best)}."


def _best(comparisons: Sequence[Comparison]) -> Comparison:
    """The one with the largest gain in AUROC beyond chance."""
    return max(comparisons, key=lambda comparison: _bounds(comparison.auroc.difference)[0])


def _not_numbers(comparison: Comparison, gate: Gate) -> str | None:
    is_known = all(getattr(comparison, name).difference.value is not None for name in FIGURES)
    if is_known or not _has_enough(comparison, gate):
        return None
    return f"Refused: {_on(comparison)} some scores are not numbers."


def _worse(comparison: Comparison, gate: Gate) -> str | None:
    """Not of few patients, whose intervals are unreliable."""
    if not _has_enough(comparison, gate):
        return None
    for name, (pair, margin) in _guarded(comparison, gate).items():
        low, high = _bounds(pair.difference)
        if low <= -margin and high < 0:
            return _lower(name, pair, comparison)
    return None


def _too_few(comparison: Comparison, gate: Gate) -> str | None:
    if _has_enough(comparison, gate):
        return None
    pneumonia = plural(comparison.pneumonia_patients, "patient")
    return (
        f"Not enough evidence: {comparison.name} has {pneumonia} with pneumonia and "
        f"{comparison.normal_patients} with normal test images; {gate.min_patients} of each are "
        "needed."
    )


def _not_shown(comparison: Comparison, gate: Gate) -> str | None:
    for name, (pair, margin) in _guarded(comparison, gate).items():
        if _bounds(pair.difference)[0] <= -margin:
            return (
                f"Refused: {_on(comparison)} {name} {_sides(pair)}, so a loss of more than "
                f"{margin:g} is not excluded."
            )
    return None


def _less_specific(comparison: Comparison, gate: Gate) -> str | None:
    lost = comparison.specificity.difference
    if (lost.value or 0) <= -gate.specificity_margin and _bounds(lost)[1] < 0:
        return _lower("specificity", comparison.specificity, comparison)
    return None


def _more_unanswered(comparison: Comparison, gate: Gate) -> str | None:
    pair = comparison.unanswered
    if (pair.difference.value or 0) < gate.unanswered_margin or _bounds(pair.difference)[0] <= 0:
        return None
    return (
        f"Refused: {_on(comparison)} {percent(pair.candidate.value)} of the candidate's images get "
        f"no finding, {percent(pair.production.value)} of production's."
    )


# Worse comes before missing evidence, and that before the milder losses.
_CHECKS: tuple[Callable[[Comparison, Gate], str | None], ...] = (
    _not_numbers,
    _worse,
    _too_few,
    _not_shown,
    _less_specific,
    _more_unanswered,
)


def _has_enough(comparison: Comparison, gate: Gate) -> bool:
    return min(comparison.pneumonia_patients, comparison.normal_patients) >= gate.min_patients


def _guarded(comparison: Comparison, gate: Gate) -> Mapping[str, tuple[Pair, float]]:
    """What must be shown to be no worse, with its margin."""
    return {
        "AUROC": (comparison.auroc, gate.auroc_margin),
        "sensitivity": (comparison.sensitivity, gate.sensitivity_margin),
    }


def _bounds(interval: Interval) -> tuple[float, float]:
    """Unknown bounds are infinite."""
    if interval.low is None or interval.high is None:
        return float("-inf"), float("inf")
    return interval.low, interval.high


def _lower(name: str, pair: Pair, comparison: Comparison) -> str:
    lost = pair.difference
    return (
        f"Refused: {_on(comparison)} the candidate's {name} of {_number(pair.candidate.value)} is "
        f"lower than production's {_number(pair.production.value)} by {_number(lost.value, -1)} "
        f"({_number(lost.high, -1)} to {_number(lost.low, -1)})."
    )


def _on(comparison: Comparison) -> str:
    return f"on {comparison.name} ({plural(comparison.patients, 'patient')})"


def _aurocs(comparison: Comparison) -> str:
    return f"AUROC {_sides(comparison.auroc)}"


def _sides(pair: Pair) -> str:
    low, high = _number(pair.difference.low), _number(pair.difference.high)
    return (
        f"{_number(pair.candidate.value)} against production's {_number(pair.production.value)}, "
        f"difference {_number(pair.difference.value)} ({low} to {high})"
    )


def _number(value: float | None, sign: int = 1) -> str:
    """Three decimals; five where three would hide the sign."""
    if value is None:
        return "unknown"
    digits = 3 if abs(value) >= 0.0005 or value == 0 else 5
    return f"{sign * value + 0.0:.{digits}f}"
