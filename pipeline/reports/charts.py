"""Charts as SVG: evaluation figures in, markup out, for the portal, reports and files.

Figures are those of an evaluation as JSON (`evaluate`), with the curves that
`curves_as_json` adds. SVG elements carry classes only; pages style them, files embed `STYLE`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, Final

from pipeline.text import plural

Figures = Mapping[str, Any]
Point = tuple[float, float]

GOOD_AUROC: Final = 0.95
CORNER: Final = 0.2
# The plot within a chart of 150 by 128.
LEFT, TOP, WIDTH, HEIGHT = 26, 4, 120, 102
STYLE: Final = """
.grid { stroke: #e6e9ec; stroke-width: .5; }
.tick, .axis, .key { fill: #64707b; font: 5.4px system-ui, sans-serif; }
.reference { stroke: #b9c0c7; stroke-width: .8; }
.curve { fill: none; stroke: #333b44; stroke-width: 1.8; vector-effect: non-scaling-stroke; }
.area { stroke: none; fill-opacity: .45; }
.dot { fill: #333b44; stroke: #333b44; }
.span { stroke: #333b44; stroke-width: .8; opacity: .55; }
.curve.pneumonia, .dot.pneumonia, .span.pneumonia { stroke: #b5532a; }
.curve.normal, .dot.normal, .span.normal { stroke: #2f6f8f; }
.dot.pneumonia, .area.pneumonia { fill: #b5532a; }
.dot.normal, .area.normal { fill: #2f6f8f; }
.dot.sensitive { fill: #fff; stroke: #b5532a; stroke-width: 1.2; }
.area.curve { stroke: none; }
"""


@dataclass(frozen=True)
class Axis:
    """One direction of a chart. ticks: value and text; by default five, evenly."""

    label: str
    low: float = 0.0
    high: float = 1.0
    ticks: tuple[tuple[float, str], ...] = ()

    def place(self, value: float) -> float:
        """Return the value in percent of the axis; outside [0, 100] it lies beyond its ends."""
        return round(100 * (value - self.low) / (self.high - self.low), 1)

    def marks(self) -> Sequence[tuple[float, str]]:
        span = self.high - self.low
        values = [round(self.low + span * part / 4, 3) for part in range(5)]
        return self.ticks or [(value, f"{value:g}") for value in values]


@dataclass(frozen=True)
class Dot:
    """low, high: the ends of an interval of y."""

    x: float
    y: float
    text: str = ""
    low: float | None = None
    high: float | None = None
    radius: float = 2.0
    kind: str = ""


@dataclass(frozen=True)
class Line:
    """kind: CSS classes, e.g. `candidate`. name: for tooltips and screen readers."""

    kind: str
    name: str
    points: Sequence[Point] = ()
    dots: tuple[Dot, ...] = ()


@dataclass(frozen=True)
class Chart:
    """references: straight lines behind the curves, as pairs of points. key: kind and text."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    references: tuple[tuple[Point, Point], ...] = ()
    note: str = ""
    key: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    key_at: Point = field(default=(62, 80), kw_only=True)

    def svg(self, *, attributes: str = "") -> str:
        """Return an <svg> element; attributes: more of its attributes."""
        names = " and ".join(line.name for line in self.lines)
        return "".join(
            (
                f'<svg viewBox="0 0 150 128" role="img" {attributes} '
                f'aria-label="{escape(f"{self.title}: {names}")}">',
                *self._axes(),
                f'<svg x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" '
                'viewBox="0 0 100 100" preserveAspectRatio="none">',
                *(
                    f'<line class="reference" x1="{self.x.place(a)}" y1="{100 - self.y.place(b)}" '
                    f'x2="{self.x.place(c)}" y2="{100 - self.y.place(d)}"/>'
                    for (a, b), (c, d) in self.references
                ),
                *(
                    f'<polyline class="curve {line.kind}" points="{self.polyline(line)}"/>'
                    for line in reversed(self.lines)
                ),
                "</svg>",
                *(self._dot(dot, line) for line in reversed(self.lines) for dot in line.dots),
                *self._key(),
                "</svg>",
            )
        )

    def polyline(self, line: Line) -> str:
        """Return the points of a line, without those that fall on the one before."""
        placed = [(self.x.place(x), round(100 - self.y.place(y), 1)) for x, y in line.points]
        kept = [point for n, point in enumerate(placed) if n == 0 or point != placed[n - 1]]
        return " ".join(f"{x:g},{y:g}" for x, y in kept)

    def _at(self, x: float, y: float) -> Point:
        return (
            round(LEFT + WIDTH * self.x.place(x) / 100, 1),
            round(TOP + HEIGHT * (1 - self.y.place(y) / 100), 1),
        )

    def _axes(self) -> Iterator[str]:
        right, bottom = LEFT + WIDTH, TOP + HEIGHT
        for value, text in self.y.marks():
            _, y = self._at(self.x.low, value)
            yield f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
            yield f'<text class="tick" x="{LEFT - 3}" y="{y + 2}" text-anchor="end">{text}</text>'
        for value, text in self.x.marks():
            x, _ = self._at(value, self.y.low)
            yield f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}"/>'
            yield f'<text class="tick" x="{x}" y="{bottom + 7}" text-anchor="middle">{text}</text>'
        yield (
            f'<text class="axis" x="{LEFT + WIDTH / 2}" y="{bottom + 17}" text-anchor="middle">'
            f"{escape(self.x.label)}</text>"
            f'<text class="axis" x="{-TOP - HEIGHT / 2}" y="6" text-anchor="middle" '
            f'transform="rotate(-90)">{escape(self.y.label)}</text>'
        )

    def _dot(self, dot: Dot, line: Line) -> str:
        if not (0 <= self.x.place(dot.x) <= 100 and 0 <= self.y.place(dot.y) <= 100):
            return ""
        kind = f"{line.kind} {dot.kind}".strip()
        x, y = self._at(dot.x, dot.y)
        span = ""
        if dot.low is not None and dot.high is not None:
            low, high = self._at(dot.x, dot.low)[1], self._at(dot.x, dot.high)[1]
            span = f'<line class="span {kind}" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>'
        return (
            f'{span}<circle class="dot {kind}" cx="{x}" cy="{y}" r="{dot.radius:.1f}">'
            f"<title>{escape(f'{line.name}, {dot.text}')}</title></circle>"
        )

    def _key(self) -> Iterator[str]:
        x, top = LEFT + WIDTH * self.key_at[0] / 100, TOP + HEIGHT * self.key_at[1] / 100
        for n, (kind, text) in enumerate(self.key):
            y = top + 8 * n
            yield (
                f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="2"/>'
                f'<text class="key" x="{x + 4}" y="{y + 2}">{escape(text)}</text>'
            )


def roc_chart(figures: Mapping[str, Figures], *, names: Mapping[str, str]) -> Chart | None:
    """Return the ROC curves of versions. figures, names: by CSS class. None without any curve.

    Of two good versions only the corner is drawn, where they differ.
    """
    drawn = {kind: found for kind, found in figures.items() if found.get("roc")}
    if not drawn:
        return None
    is_corner = len(drawn) > 1 and all(
        (_value(found.get("auroc")) or 0.0) >= GOOD_AUROC for found in drawn.values()
    )
    return Chart(
        title="ROC curve",
        x=Axis("1 − specificity", high=CORNER if is_corner else 1.0),
        y=Axis("sensitivity", low=1 - CORNER if is_corner else 0.0),
        lines=tuple(
            Line(
                kind,
                names[kind],
                found["roc"],
                tuple(
                    replace(dot, x=1 - dot.x)
                    for dot in _point_dots(found, "specificity", "sensitivity")
                ),
            )
            for kind, found in drawn.items()
        ),
        references=() if is_corner else (((0, 0), (1, 1)),),
        note="Enlarged: upper left corner." if is_corner else "",
    )


def calibration_chart(figures: Mapping[str, Figures], *, names: Mapping[str, str]) -> Chart | None:
    """Return the calibration curves of versions. figures, names: by CSS class."""
    dots = {kind: tuple(_calibration_dots(found)) for kind, found in figures.items()}
    lines = [
        Line(kind, names[kind], [(dot.x, dot.y) for dot in found], found)
        for kind, found in dots.items()
        if found
    ]
    if not lines:
        return None
    return Chart(
        title="Calibration",
        x=Axis("mean probability"),
        y=Axis("share with pneumonia"),
        lines=tuple(lines),
        references=(((0, 0), (1, 1)),),
        note="On the diagonal, probability equals frequency. Larger dots: more images.",
    )


def precision_recall_chart(figures: Figures, *, name: str) -> Chart | None:
    """Return the precision-recall curve of one version; None without a curve."""
    points = figures.get("precision_recall")
    if not points:
        return None
    prevalence = _value(figures["prevalence"]) or 0.0
    dots = tuple(_point_dots(figures, "sensitivity", "precision"))
    return Chart(
        title="Precision and recall",
        x=Axis("sensitivity (recall)"),
        y=Axis("precision"),
        lines=(Line("version", name, points, dots),),
        references=(((0, prevalence), (1, prevalence)),),
    )


def probability_chart(figures: Figures, *, name: str) -> Chart:
    """Return the histograms of both classes' probabilities, with the thresholds."""
    counts: Mapping[str, Sequence[int]] = figures["probability_counts"]
    most = max(10, *(max(values) for values in counts.values()))
    ticks = [count for count in (0, 1, 10, 100, 1000, 10_000, 100_000) if count <= most]
    thresholds = [point["threshold"] for point in figures["operating_points"].values()]
    return Chart(
        title="Probabilities by class",
        x=Axis("probability of pneumonia"),
        y=Axis(
            "images (logarithmic)",
            high=math.log1p(1.2 * most),
            ticks=tuple((math.log1p(count), f"{count:,}") for count in ticks),
        ),
        lines=tuple(
            Line(f"area {label}", f"{label}, {name}", _steps(values))
            for label, values in counts.items()
        ),
        references=tuple(((at, 0), (at, math.log1p(1.2 * most))) for at in thresholds),
        key=tuple((label, f"{label} ({sum(values):,})") for label, values in counts.items()),
        key_at=(40, 8),
    )


def learning_curves_svg(
    *,
    loss: Sequence[float],
    validation_loss: Sequence[float],
    validation_auroc: Sequence[float],
    head_epochs: int,
) -> str:
    """Return a whole SVG file with loss and AUROC by epoch; a line ends the head's epochs."""
    epochs = max(len(loss), 2)
    step = math.ceil(epochs / 8)
    ticks = tuple((n, str(n)) for n in range(step, epochs + 1, step))
    x = Axis("epoch", low=1, high=epochs, ticks=ticks)
    top = 1.05 * max(filter(math.isfinite, (*loss, *validation_loss)), default=0.0) or 1.0
    bottom = min((0.99, *validation_auroc))
    head = head_epochs + 0.5

    def line(kind: str, name: str, values: Sequence[float]) -> Line:
        points = [(n, value) for n, value in enumerate(values, start=1) if math.isfinite(value)]
        return Line(kind, name, points)

    charts = (
        Chart(
            title="Loss",
            x=x,
            y=Axis("loss", high=top),
            lines=(line("pneumonia", "training", loss), line("normal", "val", validation_loss)),
            references=(((head, 0), (head, top)),),
            key=(("pneumonia", "training (augmented)"), ("normal", "validation")),
            key_at=(12, 8),
        ),
        Chart(
            title="AUROC",
            x=x,
            y=Axis("validation AUROC", low=bottom),
            lines=(line("normal", "validation", validation_auroc),),
            references=(((head, bottom), (head, 1)),),
        ),
    )
    parts = "".join(
        chart.svg(attributes=f'x="{n * 150}" width="150" height="128"')
        for n, chart in enumerate(charts)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 128" width="900" height="384">'
        f'<style>{STYLE}</style><rect width="300" height="128" fill="#fff"/>{parts}</svg>\n'
    )


def _steps(counts: Sequence[int]) -> list[Point]:
    """The outline of a histogram over [0, 1], heights as log(1 + count)."""
    width = 1 / len(counts)
    tops = [(x * width, math.log1p(count)) for n, count in enumerate(counts) for x in (n, n + 1)]
    return [(0.0, 0.0), *tops, (1.0, 0.0)]


def _point_dots(figures: Figures, x_name: str, y_name: str) -> Iterator[Dot]:
    for name, point in (figures.get("operating_points") or {}).items():
        x, y = _value(point.get(x_name)), _value(point.get(y_name))
        if x is not None and y is not None:
            yield Dot(x, y, f"{name}: {x_name} {x:.3f}, {y_name} {y:.3f}", kind=name)


def _calibration_dots(figures: Figures) -> Iterator[Dot]:
    bins = [one for one in figures.get("calibration") or () if _value(one["frequency"]) is not None]
    most = max((one["images"] for one in bins), default=1)
    for one in bins:
        mean, frequency = one["mean_probability"], one["frequency"]
        yield Dot(
            mean,
            frequency["value"],
            f"{mean:.2f} predicted, {frequency['value']:.2f} observed; "
            + plural(one["images"], "image"),
            low=frequency.get("low"),
            high=frequency.get("high"),
            radius=1 + 2 * math.sqrt(one["images"] / most),
        )


def _value(figure: Any) -> float | None:
    return figure.get("value") if isinstance(figure, Mapping) else figure
