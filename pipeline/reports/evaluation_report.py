"""An evaluation as one self-contained HTML page: no script, no network."""

import base64
import io
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.drawing import display_png, overlay_png
from pipeline.errors import RefusedError
from pipeline.evaluation.bootstrap import DRAWS
from pipeline.evaluation.curves import curves_as_json, precision_recall_points, probability_counts
from pipeline.evaluation.evaluate import Scores, evaluate
from pipeline.evaluation.metrics import AT_THRESHOLD, METRICS, OVERALL
from pipeline.evaluation.subgroups import LEAST_PATIENTS, SUBGROUP_METRICS, no_finding
from pipeline.inference.version_folder import Card
from pipeline.reports import charts
from pipeline.reports.group_charts import decision_chart, subgroup_charts
from pipeline.reports.templates import render
from pipeline.types import HEATMAP_FULL_SCALE, Prediction

FILE: Final = "index.html"
KEPT: Final = 6  # worst errors of each kind
IMAGE_SIDE: Final = 420
QUALITY: Final = 82


# See `DecoderPool.levels`.
LevelsOf = Callable[[Path], NDArray[np.uint8] | RefusedError]


@dataclass(frozen=True)
class WorstError:
    """file: its name for people."""

    prediction: Prediction
    file: str
    path: Path

    @property
    def confidence(self) -> float:
        """By the logit, which still differs where the probability is rounded to 0 or 1."""
        logit = self.prediction.logit
        return logit if self.prediction.probability >= self.prediction.threshold else -logit


class WorstErrors:
    """Keeps the `kept` most confident errors of each kind, most confident first."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self.false_positives: list[WorstError] = []
        self.false_negatives: list[WorstError] = []

    def see(self, prediction: Prediction, *, label: int, file: str, path: Path) -> None:
        """label: 0 normal, 1 pneumonia."""
        is_positive = prediction.probability >= prediction.threshold
        if is_positive == (label == 1):
            return
        errors = self.false_positives if is_positive else self.false_negatives
        insort(errors, WorstError(prediction, file, path), key=lambda error: -error.confidence)
        del errors[self._kept :]


def write_report(
    folder: Path,
    found: Mapping[str, Any],
    scores: Scores,
    *,
    card: Card,
    name: str,
    notes: Sequence[str],
    errors: WorstErrors,
    levels_of: LevelsOf,
    command: str,
) -> Path:
    """Write `folder/index.html` into an existing folder; return its path. Raises OSError.

    found: of `evaluate`, with `refused` and `left_out`, as `overread evaluate --json` prints it.
    name, notes: of the labelled images. levels_of: to draw the errors. command: as typed.
    """
    path = folder / FILE
    page = render(
        "evaluation_report.html",
        found=found,
        answered=_answered(scores, card),
        name=name,
        notes=notes,
        command=command,
        card=card,
        charts=draw_charts(scores, found),
        subgroup_charts=subgroup_charts(found["subgroups"]),
        no_finding=no_finding,
        SUBGROUP_METRICS=SUBGROUP_METRICS,
        LEAST_PATIENTS=LEAST_PATIENTS,
        chart_style=charts.STYLE,
        false_negatives=[(error, _images(error, levels_of)) for error in errors.false_negatives],
        false_positives=[(error, _images(error, levels_of)) for error in errors.false_positives],
        now=datetime.now(UTC),
        METRICS=METRICS,
        OVERALL=OVERALL,
        AT_THRESHOLD=AT_THRESHOLD,
        DRAWS=DRAWS,
        HEATMAP_FULL_SCALE=HEATMAP_FULL_SCALE,
    )
    path.write_text(page, encoding="utf-8")
    return path


def draw_charts(scores: Scores, found: Mapping[str, Any]) -> list[charts.Chart]:
    """Return the charts of an evaluation; without ROC and precision-recall for one class alone."""
    figures = {
        **found,
        **curves_as_json(scores),
        "precision_recall": precision_recall_points(scores),
        "probability_counts": probability_counts(scores),
    }
    name = found["model_version"]
    names = {"version": name}
    drawn = (
        charts.roc_chart({"version": figures}, names=names),
        charts.precision_recall_chart(figures, name=name),
        charts.calibration_chart({"version": figures}, names=names),
        charts.probability_chart(figures, name=name),
        decision_chart(figures.get("decision_curve"), name=name),
    )
    return [chart for chart in drawn if chart is not None]


def _answered(scores: Scores, card: Card) -> dict[str, Any] | None:
    """The metrics of images with a finding alone; None where these are all or none."""
    chosen = scores.where(scores.unfamiliarities <= card.unfamiliarity_limit)
    return evaluate(chosen, card=card) if 0 < len(chosen) < len(scores) else None


def _images(error: WorstError, levels_of: LevelsOf) -> tuple[str, str] | None:
    """The image, plain and with its heatmap, as data: URLs; None where the file is gone."""
    levels = levels_of(error.path)
    if isinstance(levels, RefusedError):
        return None
    orientation = error.prediction.orientation
    overlay = overlay_png(levels, error.prediction.heatmap, orientation=orientation)
    return _data_url(display_png(levels, orientation=orientation)), _data_url(overlay)


def _data_url(png: bytes) -> str:
    """Smaller, and as JPEG, an eighth of the bytes."""
    image = Image.open(io.BytesIO(png))
    image.thumbnail((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.LANCZOS)
    target = io.BytesIO()
    image.save(target, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(target.getvalue()).decode()
