"""A version's card as pages show it, whichever format it was written in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.tables.learning import Evaluation
from pipeline.evaluation.metrics import METRICS
from web.context import current_settings

OVERALL = ("auroc", "ece")
AT_THRESHOLD = ("accuracy", "sensitivity", "specificity")


@dataclass(frozen=True)
class Point:
    """An operating point and the rule by which its threshold was chosen."""

    name: str
    threshold: float
    rule: str


@dataclass(frozen=True)
class Figure:
    """A metric with its 95 % interval; None where the card has none."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class FigureRow:
    """The metrics OVERALL and AT_THRESHOLD of one set of images at one operating point."""

    name: str
    images: int | None
    patients: int | None
    point: str
    figures: Mapping[str, Figure]


def card_words(card: Mapping[str, Any]) -> dict[str, object]:
    """Template variables of `cards.html`."""
    return {
        "points": operating_points(card),
        "point_now": current_settings().operating_point,
        "figure_rows": figure_rows(card),
        "figure_names": {name: METRICS[name] for name in OVERALL + AT_THRESHOLD},
    }


def operating_points(card: Mapping[str, Any]) -> list[Point]:
    """Return the operating points; format 1 had one without a name."""
    if isinstance(card.get("threshold"), int | float):
        return [Point("balanced", card["threshold"], card.get("threshold_rule", ""))]
    points = card.get("operating_points", {})
    return [Point(name, point["threshold"], point["rule"]) for name, point in points.items()]


def figure_rows(card: Mapping[str, Any]) -> list[FigureRow]:
    metrics = card.get("metrics", {}).items()
    return [row for name, found in metrics if isinstance(found, dict) for row in _rows(name, found)]


def evaluation_row(evaluation: Evaluation) -> FigureRow:
    """Return the row at the operating point that the evaluation names."""
    return next(_rows(evaluation.origin, evaluation.figures))


def validation_auroc(card: Mapping[str, Any]) -> Figure:
    """Return the AUROC of the validation patients, which differ between versions."""
    rows = (row for row in figure_rows(card) if row.name.startswith("validation"))
    return next((row.figures["auroc"] for row in rows), Figure(None))


def _rows(name: str, found: Mapping[str, Any]) -> Iterator[FigureRow]:
    # Without `operating_points`, the metrics are those of the point that is named.
    points = found.get("operating_points") or {found.get("operating_point", "balanced"): found}
    overall = {key: _figure(found, key) for key in OVERALL}
    for point, at_threshold in points.items():
        yield FigureRow(
            name=name,
            images=found.get("n", found.get("images")),
            patients=found.get("patients"),
            point=point,
            figures=overall | {key: _figure(at_threshold, key) for key in AT_THRESHOLD},
        )


def _figure(found: Mapping[str, Any], key: str) -> Figure:
    figure = found.get(key)
    if isinstance(figure, Mapping):
        return Figure(figure.get("value"), figure.get("low"), figure.get("high"))
    return Figure(figure, found.get(f"{key}_low"), found.get(f"{key}_high"))
