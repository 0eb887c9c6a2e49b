"""What pages show of a version's card, in whichever format it was written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.tables.learning import Evaluation

OVERALL = ("auroc", "ece")
AT_THRESHOLD = ("accuracy", "sensitivity", "specificity")


@dataclass(frozen=True)
class Point:
    """One operating point and the rule by which its threshold was chosen."""

    name: str
    threshold: float
    rule: str


@dataclass(frozen=True)
class Figure:
    """low, high: the 95 % interval; None where the card has none."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class FigureRow:
    """Figures of one set of images at one operating point, by the keys of the tables above."""

    name: str
    images: int | None
    patients: int | None
    point: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class EvaluationRow:
    """A version's figures on one snapshot's test images of one origin."""

    snapshot_id: int
    origin: str
    row: FigureRow


def operating_points(card: Mapping[str, Any]) -> list[Point]:
    """Format 1 had one, which it did not name."""
    if isinstance(card.get("threshold"), int | float):
        return [Point("balanced", card["threshold"], card.get("threshold_rule", ""))]
    points = card.get("operating_points", {})
    return [Point(name, point["threshold"], point["rule"]) for name, point in points.items()]


def figure_rows(card: Mapping[str, Any]) -> list[FigureRow]:
    metrics = card.get("metrics", {})
    return [
        row
        for name, found in metrics.items()
        if isinstance(found, Mapping)
        for row in _rows(name, found)
    ]


def evaluation_row(evaluation: Evaluation) -> EvaluationRow:
    """The first row of an evaluation's figures: those at the operating point that it names."""
    row = next(_rows(evaluation.origin, evaluation.figures))
    return EvaluationRow(evaluation.snapshot_id, evaluation.origin, row)


def learned_images(card: Mapping[str, Any]) -> int | None:
    """None where the card does not say."""
    train = (card.get("data") or {}).get("train") or {}
    images = train.get("images")
    return images if isinstance(images, int) else None


def validation_auroc(card: Mapping[str, Any]) -> Figure:
    """Of the validation patients it was made with: not to be compared between versions."""
    rows = [row for row in figure_rows(card) if row.name.startswith("validation")]
    return rows[0].figures["auroc"] if rows else Figure(None)


def _rows(name: str, found: Mapping[str, Any]) -> Iterator[FigureRow]:
    # Figures that stand outside `operating_points` are those of the point that is named there.
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
