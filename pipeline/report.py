"""An evaluation as one page that needs nothing else: no script, no network."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from PIL import Image

from pipeline.bootstrap import DRAWS, Interval
from pipeline.decode import decode
from pipeline.drawing import display_png, overlay_png
from pipeline.errors import RefusedError
from pipeline.evaluation import AT_THRESHOLD, OVERALL, Evaluation, Scores, evaluate
from pipeline.report_plots import draw_curves
from pipeline.version_folder import Card
from pipeline.worst_errors import WorstError, WorstErrors

TEMPLATE: Final = "report.html"  # beside this file
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
        curves=draw_curves(scores, found),
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
        "probability": probability_text,
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


def probability_text(probability: float) -> str:
    """Never 0 or 1: the network is not that sure of anything."""
    if probability < 0.01:
        return "< 0.01"
    return "> 0.99" if probability > 0.99 else f"{probability:.2f}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"
