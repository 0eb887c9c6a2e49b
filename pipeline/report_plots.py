"""An evaluation's curves as pieces of SVG, to stand in a page."""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from pipeline.curves import CalibrationBin, precision_recall_curve, reliability_curve, roc_curve
from pipeline.evaluation import Evaluation, Scores
from pipeline.matplotlib_setup import import_matplotlib

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
