"""May a candidate replace what is live? Decided from comparisons alone, and refused by default.

Every "no" says why in one sentence. It tells what is worse from what cannot be shown to be no
worse: the latter may only need more labelled patients.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.evaluation import promotion_reasons as words
from pipeline.evaluation.bootstrap import LEVEL, Interval
from pipeline.evaluation.compare import FIGURES, Comparison, Pair, level_of_each


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is asked of a candidate.

    auroc_margin, sensitivity_margin: it must be shown not to lose so much on any test set.
    min_patients: of each finding, in every test set.
    level: of the intervals, of all test sets together. At equal quality, half of what it lacks
        to 1 is the nominal chance of a "yes"; docs/power.md says what comes of it.
    specificity_margin, unanswered_margin: losses beyond these are refused where chance does not
        explain them. They are milder, since a false alarm costs less than an illness overlooked.
    """

    auroc_margin: float = 0.02
    sensitivity_margin: float = 0.05
    min_patients: int = 30
    level: float = LEVEL
    specificity_margin: float = 0.1
    unanswered_margin: float = 0.02

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


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
            "gate": self.gate.as_json(),
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
        }


def decide_promotion(
    comparisons: Sequence[Comparison], *, gate: Gate, is_guard_refreshed: bool = True
) -> Decision:
    """Yes where the candidate is nowhere worse by more than the margins, and somewhere better.

    comparisons: one of each test set, with intervals of `level_of_each(len(comparisons))` or
        higher, else ValueError.
    is_guard_refreshed: the candidate's familiarity statistics were fitted to it.
    """
    _check_levels(comparisons, gate)
    objections = _objections(comparisons, gate, is_guard_refreshed=is_guard_refreshed)
    objection = next(objections, None)
    reason = objection or words.better(_best(comparisons))
    return Decision(objection is None, reason, tuple(comparisons), gate)


def _check_levels(comparisons: Sequence[Comparison], gate: Gate) -> None:
    needed = level_of_each(len(comparisons), level=gate.level)
    for comparison in comparisons:
        if comparison.level < needed - 1e-9:
            raise ValueError(
                f"{comparison.name}: expected intervals of {needed:.2%} for {len(comparisons)} "
                f"test sets, received {comparison.level:.2%}"
            )


def _objections(
    comparisons: Sequence[Comparison], gate: Gate, *, is_guard_refreshed: bool
) -> Iterator[str]:
    """The gravest first; only the first is told."""
    if not comparisons:
        yield words.NO_IMAGES
        return
    if not is_guard_refreshed:
        yield words.OLD_GUARD
    for check in _CHECKS:
        for comparison in comparisons:
            if sentence := check(comparison, gate):
                yield sentence
    best = _best(comparisons)
    if not _bounds(best.auroc.difference)[0] > 0:
        yield words.not_better(best)


def _best(comparisons: Sequence[Comparison]) -> Comparison:
    """On which the AUROC gained most beyond chance."""
    return max(comparisons, key=lambda comparison: _bounds(comparison.auroc.difference)[0])


def _no_numbers(comparison: Comparison, gate: Gate) -> str | None:
    is_known = all(getattr(comparison, name).difference.value is not None for name in FIGURES)
    if is_known or not _has_enough(comparison, gate):
        return None
    return words.not_numbers(comparison)


def _worse(comparison: Comparison, gate: Gate) -> str | None:
    """Not said of few patients: their intervals promise more than they hold."""
    if not _has_enough(comparison, gate):
        return None
    for name, (pair, margin) in _guarded(comparison, gate).items():
        low, high = _bounds(pair.difference)
        if low <= -margin and high < 0:
            return words.worse(name, pair, comparison)
    return None


def _too_few(comparison: Comparison, gate: Gate) -> str | None:
    if _has_enough(comparison, gate):
        return None
    return words.too_few(comparison, needed=gate.min_patients)


def _not_shown(comparison: Comparison, gate: Gate) -> str | None:
    for name, (pair, margin) in _guarded(comparison, gate).items():
        if _bounds(pair.difference)[0] <= -margin:
            return words.not_shown(name, pair, comparison, margin=margin)
    return None


def _less_specific(comparison: Comparison, gate: Gate) -> str | None:
    lost = comparison.specificity.difference
    if _value(lost) <= -gate.specificity_margin and _bounds(lost)[1] < 0:
        return words.worse("specificity", comparison.specificity, comparison)
    return None


def _more_unanswered(comparison: Comparison, gate: Gate) -> str | None:
    more = comparison.unanswered.difference
    if _value(more) >= gate.unanswered_margin and _bounds(more)[0] > 0:
        return words.more_unanswered(comparison)
    return None


# What is worse is told before what is missing, and what is missing before what is milder.
_CHECKS: tuple[Callable[[Comparison, Gate], str | None], ...] = (
    _no_numbers,
    _worse,
    _too_few,
    _not_shown,
    _less_specific,
    _more_unanswered,
)


def _has_enough(comparison: Comparison, gate: Gate) -> bool:
    return min(comparison.pneumonia_patients, comparison.normal_patients) >= gate.min_patients


def _guarded(comparison: Comparison, gate: Gate) -> Mapping[str, tuple[Pair, float]]:
    """What must be shown to be no worse, and the margin of each."""
    return {
        "AUROC": (comparison.auroc, gate.auroc_margin),
        "sensitivity": (comparison.sensitivity, gate.sensitivity_margin),
    }


def _bounds(interval: Interval) -> tuple[float, float]:
    """What is unknown may be anything."""
    if interval.low is None or interval.high is None:
        return float("-inf"), float("inf")
    return interval.low, interval.high


def _value(interval: Interval) -> float:
    return 0.0 if interval.value is None else interval.value
