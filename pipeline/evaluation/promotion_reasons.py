"""The sentences of a decision, with their numbers."""

from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.compare import Comparison, Pair
from pipeline.text import plural

NO_IMAGES = "Not enough evidence: there is no labelled test image to compare on."
OLD_GUARD = "Refused: the candidate's familiarity statistics were not fitted to it."


def not_numbers(comparison: Comparison) -> str:
    return f"Refused: {_on(comparison)} not every answer is a number."


def worse(name: str, pair: Pair, comparison: Comparison) -> str:
    lost = pair.difference
    return (
        f"Refused: {_on(comparison)} the candidate's {name} of {_number(pair.candidate.value)} is "
        f"lower than production's {_number(pair.production.value)} by {_number(lost.value, -1)} "
        f"({_number(lost.high, -1)} to {_number(lost.low, -1)})."
    )


def not_shown(name: str, pair: Pair, comparison: Comparison, *, margin: float) -> str:
    return (
        f"Refused: {_on(comparison)} the candidate's {name} of {_number(pair.candidate.value)} "
        f"cannot be shown to be no worse than production's {_number(pair.production.value)}: with "
        f"a difference of {_interval(pair.difference)}, a loss of more than {margin:g} is possible."
    )


def too_few(comparison: Comparison, *, needed: int) -> str:
    pneumonia = plural(comparison.pneumonia_patients, "patient")
    return (
        f"Not enough evidence: the test images of {comparison.name} show {pneumonia} with "
        f"pneumonia and {comparison.normal_patients} with normal images, "
        f"and {needed} of each are needed."
    )


def more_unanswered(comparison: Comparison) -> str:
    pair = comparison.unanswered
    return (
        f"Refused: {_on(comparison)} the candidate leaves {_share(pair.candidate)} of the images "
        f"without an answer, production {_share(pair.production)}."
    )


def not_better(comparison: Comparison) -> str:
    """comparison: the one on which the candidate did best."""
    return (
        f"Refused: nowhere is the candidate shown to be better; {_on(comparison)} its AUROC is "
        f"{_sides(comparison.auroc)}."
    )


def better(comparison: Comparison) -> str:
    return (
        f"Better {_on(comparison)}, with an AUROC of {_sides(comparison.auroc)}; nowhere worse by "
        "more than the margins."
    )


def _sides(pair: Pair) -> str:
    return (
        f"{_number(pair.candidate.value)} against production's {_number(pair.production.value)}, "
        f"a difference of {_interval(pair.difference)}"
    )


def _on(comparison: Comparison) -> str:
    return f"on {comparison.name} ({plural(comparison.patients, 'patient')})"


def _interval(interval: Interval) -> str:
    low, high = _number(interval.low), _number(interval.high)
    return f"{_number(interval.value)} ({low} to {high})"


def _number(value: float | None, sign: int = 1) -> str:
    """Three decimals; more where these would hide on which side of 0 it is."""
    if value is None:
        return "unknown"
    digits = 3 if abs(value) >= 0.0005 or value == 0 else 5
    return f"{sign * value + 0.0:.{digits}f}"


def _share(interval: Interval) -> str:
    return "an unknown share" if interval.value is None else f"{interval.value:.1%}"
