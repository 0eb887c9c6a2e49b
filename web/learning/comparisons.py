"""A night's comparison as pages show it: per test set, both versions' metrics and curves."""

from typing import Any

from sqlalchemy.orm import Session

from models.learning.evaluations import figures_of_night
from models.learning.snapshots import SITE
from models.tables.learning import Night
from pipeline.evaluation.metrics import METRICS
from pipeline.reports.charts import calibration_chart, roc_chart

COMPARED = ("auroc", "sensitivity", "specificity", "unanswered")


def compared_sets(session: Session, night: Night) -> list[dict[str, Any]]:
    """Return each test set's `Comparison.as_json` with a title, rows of metrics, and charts.

    Empty where the night has no comparison.
    """
    if night.candidate is None or night.production is None or not night.decision:
        return []
    names = {"candidate": night.candidate.name, "production": night.production.name}
    curves = figures_of_night(session, night)
    sets = []
    for found in night.decision.get("comparisons", ()):
        origin = found["name"]
        figures = curves.get(origin, {})
        sets.append(
            found
            | {
                "title": "This site's test images" if origin == SITE else f"Test images: {origin}",
                "rows": [(METRICS[key], found[key]) for key in COMPARED if key in found],
                "roc": roc_chart(figures, names=names),
                "calibration_chart": calibration_chart(figures, names=names),
            }
        )
    return sets
