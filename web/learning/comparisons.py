"""A night's comparison as pages show it: per test set, both versions' figures and curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from models.learning.evaluations import figures_of_night
from models.learning.snapshots import SITE
from models.tables.learning import Night
from pipeline.evaluation.metrics import METRICS
from pipeline.reports.charts import Chart, calibration_chart, roc_chart
from web.learning.cards import Figure

FIGURES = ("auroc", "sensitivity", "specificity", "unanswered")


@dataclass(frozen=True)
class ComparedFigure:
    """difference: the candidate's less production's, paired."""

    name: str
    candidate: Figure
    production: Figure
    difference: Figure


@dataclass(frozen=True)
class ComparedSet:
    """One test set. level: of the intervals, as a share."""

    title: str
    images: int
    patients: int
    pneumonia_patients: int
    normal_patients: int
    level: float
    figures: tuple[ComparedFigure, ...]
    roc: Chart | None
    calibration: Chart | None


def compared_sets(session: Session, night: Night) -> list[ComparedSet]:
    """None where the night came to no comparison."""
    if night.candidate is None or night.production is None or not night.decision:
        return []
    names = {"candidate": night.candidate.name, "production": night.production.name}
    curves = figures_of_night(session, night)
    return [
        _set(found, curves.get(found["name"], {}), names)
        for found in night.decision.get("comparisons", ())
    ]


def set_title(origin: str) -> str:
    return "This site's own test images" if origin == SITE else f"Test images of {origin}"


def _set(
    found: Mapping[str, Any], curves: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]
) -> ComparedSet:
    return ComparedSet(
        title=set_title(found["name"]),
        images=found["images"],
        patients=found["patients"],
        pneumonia_patients=found["pneumonia_patients"],
        normal_patients=found["normal_patients"],
        level=found["level"],
        figures=tuple(_figure(METRICS[key], found[key]) for key in FIGURES if key in found),
        roc=roc_chart(curves, names=names),
        calibration=calibration_chart(curves, names=names),
    )


def _figure(name: str, pair: Mapping[str, Any]) -> ComparedFigure:
    candidate, production, difference = (
        Figure(**{bound: pair[side].get(bound) for bound in ("value", "low", "high")})
        for side in ("candidate", "production", "difference")
    )
    return ComparedFigure(name, candidate, production, difference)
