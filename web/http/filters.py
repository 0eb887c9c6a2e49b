"""Template filters: numbers, findings and states in words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from models.reading.results import Result
from models.reading.studies import ListedStudy
from pipeline.inference.heatmap import describe_trust
from pipeline.prevalence import predictive_values
from pipeline.subject import age_in_years, population_of_age
from pipeline.text import percent, probability_percent, read_as
from pipeline.types import RangeRule
from pipeline.upright import describe_orientation

RANGES = {
    RangeRule.TABLE: "by the stated table",
    RangeRule.WINDOW: "by the stated window",
    RangeRule.BITS_STORED: "all that the stated bits hold",
    RangeRule.BITS_USED: "all that the bits in use hold",
    RangeRule.PERCENTILES: "by percentiles of the values",
    RangeRule.STATED: "by the stated range",
}
FINDINGS = {"pneumonia": "Pneumonia suspected", "normal": "Not suspected"}
NO_ANSWER = "No answer: out of distribution"
MARKS = {"pneumonia": "▲", "normal": "○", "unusable": "×"}  # never colour alone
STATES = {
    "received": "waiting to be decoded",
    "ready": "waiting for the network",
    "predicted": "no answer",
    "rejected": "rejected",
    "failed": "failed",
    "cancelled": "cancelled",
}


def finding_words(finding: str | None) -> str:
    return FINDINGS.get(finding or "", NO_ANSWER)


def mark(finding_or_label: str | None) -> str:
    return MARKS.get(finding_or_label or "", "?")


def unfamiliarity_words(value: float, card: Mapping[str, Any]) -> str:
    """By the limits of the version that measured it; the first cards had no warning limit."""
    limit = card.get("unfamiliarity_limit", 1.0)
    if value > limit:
        return "out of distribution"
    return "borderline" if value > card.get("warning_limit", limit) else "in distribution"


def threshold_words(answer: Result | ListedStudy) -> str:
    """Shown with every probability."""
    return f"threshold {probability_percent(answer.threshold)}, {answer.operating_point}"


def reading_words(answer: Result | ListedStudy) -> str:
    """Threshold and calibration, and as whose image it was read."""
    whose = f"; {read_as(answer.population)}" if answer.population else ""
    if answer.temperature is None:
        return f"{threshold_words(answer)}; calibration not recorded{whose}"
    calibration = f"calibrated with temperature {answer.temperature:.3g}"
    return f"{threshold_words(answer)}; {calibration}{whose}"


def prevalence_words(answer: Result, card: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """The probability at the stated prevalence, and of how many such findings are right.

    By the version's card; empty without a prevalence. Predictive values are left out where the
    card's validation images were of another population: those of versions that read all alike are
    children's.
    """
    if answer.prevalence is None or answer.adjusted_probability is None:
        return ""
    words = (
        f"At a prevalence of {answer.prevalence:.1%}: probability "
        f"{probability_percent(answer.adjusted_probability)}"
    )
    name, rates = measured_rates(card, answer.population, answer.operating_point or "")
    is_adult = population_of_age(age_in_years(tags.get("PatientAge", ""))) == "adults"
    if not rates or (is_adult and answer.population is None):
        return f"{words}."
    values = predictive_values(
        sensitivity=rates[0], specificity=rates[1], prevalence=answer.prevalence
    )
    ppv, npv = ("–" if one is None else percent(one) for one in values)
    return f"{words}; PPV {ppv}, NPV {npv} by the card's {name}."


def measured_rates(
    card: Mapping[str, Any], population: str | None, point: str
) -> tuple[str, tuple[float, float] | None]:
    """The name of the card's validation images, or of their part of a population, with its
    sensitivity and specificity at an operating point; None where they were not measured.
    """
    if population is None:
        row = card.get("metrics", {}).get("validation", {}).get("operating_points", {})
        found, name = row.get(point, {}), "validation"
    else:
        rows = card.get("subgroups", {}).get("validation", [])
        own = (one for one in rows if (one["axis"], one["group"]) == ("population", population))
        found, name = next(own, {}) if point == "balanced" else {}, f"validation, {population}"
    rates = [found.get(metric, {}).get("value") for metric in ("sensitivity", "specificity")]
    return name, None if None in rates else (rates[0], rates[1])


def heatmap_words(answer: Result, card: Mapping[str, Any]) -> str:
    """Reliability of the heatmap; early results have no measures of it."""
    peak, spread, inside = (
        answer.heatmap_peak,
        answer.heatmap_concentration,
        answer.heatmap_inside_body,
    )
    if peak is None or spread is None or inside is None:
        return "Heatmap reliability was not measured for this image."
    kinds = card.get("heatmap_scores", {}).get("kinds", {})
    return describe_trust(peak=peak, concentration=spread, inside_body=inside, kinds=kinds)


def range_words(range_rule: str) -> str:
    """How the range of grey levels was chosen."""
    return RANGES[RangeRule(range_rule)]


def orientation_words(answer: Result, as_stored: bool) -> str:
    """How the image is shown; empty for one that is stored upright."""
    orientation = describe_orientation(answer.orientation or 0)
    if not orientation:
        return ""
    if as_stored:
        return f"Shown as stored: {orientation}; corrected before reading."
    return f"Shown as it was read; stored {orientation}."


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def when(moment: datetime | str) -> str:
    """In UTC. Cards contain times as text."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def tag_name(keyword: str) -> str:
    """`ViewPosition` as `View position`."""
    words = "".join(f" {char.lower()}" if char.isupper() else char for char in keyword).strip()
    return words[:1].upper() + words[1:]


def share(part: int, whole: int) -> float:
    return round(100 * part / whole, 3) if whole else 0.0
