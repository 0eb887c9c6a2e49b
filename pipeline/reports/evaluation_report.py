"""An evaluation as one page that needs nothing else: no script, no network.

An evaluation's curves as pieces of SVG, to stand in a page.

The errors that the network was surest of, however many images go by.
"""

import base64
import heapq
import io
import re
from collections.abc import Callable, Mapping, Sequence
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
from pipeline.evaluation.curves import (
    CalibrationBin,
    precision_recall_curve,
    reliability_curve,
    roc_curve,
)
from pipeline.evaluation.evaluate import AT_THRESHOLD, OVERALL, Evaluation, Scores, evaluate
from pipeline.inference.drawing import display_png, overlay_png
from pipeline.inference.matplotlib_setup import import_matplotlib
from pipeline.inference.version_folder import Card
from pipeline.types import Prediction

PNEUMONIA: Final = "#b5532a"
NORMAL: Final = "#2f6f8f"
INK: Final = "#333b44"
FAINT: Final = "#b9c0c7"
BARS: Final = 40
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text, in the page's font
    "svg.hashsalt": "overread",  # the same figures give the same bytes
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ec",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def draw_curves(scores: Scores, found: Evaluation) -> dict[str, str]:
    """Name -> SVG. Without `roc` and `precision_recall` where one class is missing."""
    bins = reliability_curve(scores)
    plots: dict[str, Callable[[Any], None]] = {
        "reliability": lambda figure: _reliability(figure.subplots(), bins),
        "histogram": lambda figure: _histogram(figure, scores, found),
    }
    if found.figures["auroc"].value is not None:
        plots["roc"] = lambda figure: _roc(figure.subplots(), scores, found)
        plots["precision_recall"] = lambda figure: _precision_recall(
            figure.subplots(), scores, found
        )
    return {name: _svg(plot) for name, plot in plots.items()}


def _svg(plot: Callable[[Any], None]) -> str:
    matplotlib = import_matplotlib()
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.9), layout="constrained")
        FigureCanvasSVG(figure)
        plot(figure)
        target = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(target, format="svg", transparent=True, metadata=nothing)
    return _embeddable(target.getvalue())


def _embeddable(svg: str) -> str:
    """Without the prologue, which names an address, and without a fixed size."""
    picture = svg[svg.index("<svg") :]
    return re.sub(r'^<svg([^>]*?) (?:width|height)="[^"]*"', r"<svg\1", picture, count=2)


def _roc(axes: Any, scores: Scores, found: Evaluation) -> None:
    false, true = roc_curve(scores.labels, scores.probabilities)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    axes.plot(false, true, color=INK, linewidth=1.8)
    points = {
        name: (1 - _value(point.figures, "specificity"), _value(point.figures, "sensitivity"))
        for name, point in found.operating_points.items()
    }
    _mark(axes, points, found)
    axes.set(xlabel="1 − specificity", ylabel="sensitivity")
    _unit(axes)


def _precision_recall(axes: Any, scores: Scores, found: Evaluation) -> None:
    precision, recall = precision_recall_curve(scores.labels, scores.probabilities)
    axes.axhline(_value(found.figures, "prevalence"), color=FAINT, linewidth=1)
    axes.plot(recall, precision, color=INK, linewidth=1.8)
    points = {
        name: (_value(point.figures, "sensitivity"), _value(point.figures, "precision"))
        for name, point in found.operating_points.items()
    }
    _mark(axes, points, found)
    axes.set(xlabel="sensitivity (recall)", ylabel="precision")
    _unit(axes)


def _mark(axes: Any, points: Mapping[Any, tuple[float, float]], found: Evaluation) -> None:
    for name, place in points.items():
        threshold = found.operating_points[name].threshold
        style = "o" if name == "balanced" else "D"
        axes.plot(*place, style, color=PNEUMONIA, label=f"{name}, from {threshold:.2f}")
    axes.legend(loc="lower center")


def _reliability(axes: Any, bins: list[CalibrationBin]) -> None:
    said = np.array([one.mean_probability for one in bins])
    was = np.array([one.frequency.value or 0 for one in bins])
    low = np.array([one.frequency.low or 0 for one in bins])
    high = np.array([one.frequency.high or 0 for one in bins])
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    axes.vlines(said, low, high, color=NORMAL, linewidth=1.2, alpha=0.6)
    sizes = 12 + 110 * np.sqrt([one.images for one in bins] / np.max([one.images for one in bins]))
    axes.scatter(said, was, s=sizes, color=NORMAL, zorder=3, clip_on=False)
    axes.set(xlabel="probability that was given", ylabel="share with pneumonia")
    _unit(axes)


def _histogram(figure: Any, scores: Scores, found: Evaluation) -> None:
    above, below = figure.subplots(2, 1, sharex=True, sharey=True)
    parts = ((above, "pneumonia", 1, PNEUMONIA), (below, "normal", 0, NORMAL))
    for axes, name, label, colour in parts:
        chosen = scores.probabilities[scores.labels == label]
        axes.hist(chosen, np.linspace(0, 1, BARS + 1), color=colour)
        axes.set_ylabel(f"{name} ({len(chosen)})")
        for place, (point, at) in enumerate(found.operating_points.items()):
            named = f"{point}, from {at.threshold:.2f}"
            axes.axvline(at.threshold, color=INK, ls=("-", "--")[place % 2], lw=1.2, label=named)
    above.set_yscale("symlog", linthresh=10)
    counts = np.histogram(scores.probabilities, BARS, (0, 1))[0]
    above.set_ylim(0, 1.2 * max(10, counts.max()))
    ticks = [tick for tick in (0, 10, 100, 1000, 10_000) if tick < 1.2 * max(10, counts.max())]
    above.set_yticks(ticks, [str(tick) for tick in ticks])
    below.set(xlabel="probability of pneumonia", xlim=(0, 1))
    above.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)


def _value(figures: Mapping[str, Any], name: str) -> float:
    value = figures[name].value
    return float("nan") if value is None else float(value)


def _unit(axes: Any) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


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
