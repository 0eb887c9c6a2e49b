"""An evaluation as one self-contained HTML page: no script, no network."""

import base64
import heapq
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.decode import decode
from pipeline.errors import RefusedError
from pipeline.evaluation.bootstrap import DRAWS, Interval
from pipeline.evaluation.curves import curves_as_json, precision_recall_points, probability_counts
from pipeline.evaluation.evaluate import AT_THRESHOLD, OVERALL, Evaluation, Scores, evaluate
from pipeline.inference.drawing import display_png, overlay_png
from pipeline.inference.version_folder import Card
from pipeline.reports import charts
from pipeline.text import percent, probability_percent
from pipeline.types import Prediction

KEPT: Final = 6  # of each kind


@dataclass(frozen=True)
class WorstError:
    """file: its name for people. heatmap: float32 (h, w), unscaled. is_strange: no finding."""

    file: str
    path: Path
    probability: float
    unfamiliarity: float
    is_strange: bool
    heatmap: NDArray[np.float32]


class WorstErrors:
    """Keeps `kept` false positives and as many false negatives, with their heatmaps."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._seen = 0
        # By label. The count breaks ties: earlier is greater, and errors are never compared.
        self._heaps: dict[int, list[tuple[float, int, WorstError]]] = {0: [], 1: []}

    def see(self, prediction: Prediction, *, label: int, file: str, path: Path) -> None:
        """label: 0 normal, 1 pneumonia."""
        is_called = prediction.probability >= prediction.threshold
        if is_called == (label == 1):
            return
        self._seen += 1
        # Beyond the range of a probability there is still a surer logit.
        sureness = prediction.logit if is_called else -prediction.logit
        error = WorstError(
            file=file,
            path=path,
            probability=prediction.probability,
            unfamiliarity=prediction.unfamiliarity,
            is_strange=prediction.finding is None,
            heatmap=prediction.heatmap,
        )
        heap = self._heaps[label]
        heapq.heappush(heap, (sureness, -self._seen, error))
        if len(heap) > self._kept:
            heapq.heappop(heap)

    def false_positives(self) -> list[WorstError]:
        """Normal by their label, surest first."""
        return self._sorted(0)

    def false_negatives(self) -> list[WorstError]:
        """Pneumonia by their label, surest first."""
        return self._sorted(1)

    def _sorted(self, label: int) -> list[WorstError]:
        return [error for _, _, error in sorted(self._heaps[label], reverse=True)]


TEMPLATE: Final = "evaluation_report.html"  # beside this file
FILE: Final = "index.html"
PICTURE_SIDE: Final = 420
QUALITY: Final = 82
WORDS: Final = {
    "prevalence": "Prevalence",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1",
}


@dataclass(frozen=True)
class Source:
    """Where the images came from, and which of them could not count.

    command: what was typed. notes: sentences. refused: file and reason, the first of `refusals`.
    left_out: rows by label.
    """

    name: str
    command: str
    notes: Sequence[str]
    refused: Sequence[tuple[str, str]]
    refusals: int
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Picture:
    """One error with its pictures as data: URLs; None where the file is gone."""

    error: WorstError
    plain: str | None
    overlay: str | None


def draw_charts(scores: Scores, found: Evaluation) -> list[charts.Chart]:
    """Return the charts of an evaluation; without ROC and precision-recall for one class alone."""
    figures = found.as_json() | curves_as_json(scores)
    figures["precision_recall"] = precision_recall_points(scores)
    figures["probability_counts"] = probability_counts(scores)
    names = {"version": found.model_version}
    drawn = (
        charts.roc_chart({"version": figures}, names=names),
        charts.precision_recall_chart(figures, name=found.model_version),
        charts.calibration_chart({"version": figures}, names=names),
        charts.probability_chart(figures, name=found.model_version),
    )
    return [chart for chart in drawn if chart is not None]


def write_report(
    folder: Path,
    found: Evaluation,
    scores: Scores,
    *,
    card: Card,
    source: Source,
    errors: WorstErrors,
) -> Path:
    """Write `folder/index.html`; return its path. The folder must be there. Raises OSError."""
    path = folder / FILE
    page = _page(
        found=found,
        familiar=_familiar(found, scores, card),
        source=source,
        card=card,
        charts=draw_charts(scores, found),
        chart_style=charts.STYLE,
        false_negatives=[_picture(error) for error in errors.false_negatives()],
        false_positives=[_picture(error) for error in errors.false_positives()],
        now=datetime.now(UTC),
    )
    path.write_text(page, encoding="utf-8")
    return path


def _page(**values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "interval": interval_text,
        "value": value_text,
        "percent": percent,
        "probability": probability_percent,
    }
    template = environment.get_template(TEMPLATE)
    names = {"WORDS": WORDS, "OVERALL": OVERALL, "AT_THRESHOLD": AT_THRESHOLD, "DRAWS": DRAWS}
    return template.render(**names, **values)


def _familiar(found: Evaluation, scores: Scores, card: Card) -> Evaluation | None:
    """The figures without the images that get no finding; None where that changes nothing."""
    chosen = scores.where(scores.unfamiliarities <= card.unfamiliarity_limit)
    if not 0 < len(chosen) < len(scores):
        return None
    return evaluate(chosen, card=card, operating_point=found.operating_point)


def _picture(error: WorstError) -> Picture:
    try:
        image = decode(error.path)
    except RefusedError:
        return Picture(error, None, None)
    peak = float(error.heatmap.max())
    heatmap = error.heatmap / peak if peak > 0 else error.heatmap
    return Picture(
        error,
        plain=_data_url(display_png(image, max_side=PICTURE_SIDE)),
        overlay=_data_url(overlay_png(image, heatmap, max_side=PICTURE_SIDE)),
    )


def _data_url(png: bytes) -> str:
    """As JPEG, an eighth of the bytes."""
    target = io.BytesIO()
    Image.open(io.BytesIO(png)).save(target, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(target.getvalue()).decode()


def value_text(figure: Interval) -> str:
    return "–" if figure.value is None else f"{figure.value:.3f}"


def interval_text(figure: Interval) -> str:
    return "" if figure.value is None else f"{figure.low:.3f} to {figure.high:.3f}"
