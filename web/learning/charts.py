"""Curves of two versions laid over each other, as numbers for an SVG of 100 by 100.

Figures are those of an evaluation's row: `roc` as `thinned_roc` gives it,
`calibration` as `CalibrationBin.as_json`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GOOD_AUROC = 0.95  # curves from here on differ only in the corner, which is then drawn large
CORNER = 0.2
Figures = Mapping[str, Any]
Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    at: float
    words: str


@dataclass(frozen=True)
class Dot:
    """low, high: ends of its interval, None where it has none."""

    x: float
    y: float
    low: float | None
    high: float | None
    words: str


@dataclass(frozen=True)
class Line:
    """kind: "candidate" or "production". points: as a polyline has them."""

    kind: str
    name: str
    points: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Chart:
    title: str
    x_words: str
    y_words: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    has_diagonal: bool
    note: str = ""


@dataclass(frozen=True)
class _Window:
    """What part of the unit square is drawn."""

    left: float = 0.0
    right: float = 1.0
    bottom: float = 0.0
    top: float = 1.0

    def x(self, value: float) -> float:
        return round(100 * (value - self.left) / (self.right - self.left), 1)

    def y(self, value: float) -> float:
        return round(100 * (self.top - value) / (self.top - self.bottom), 1)

    def x_ticks(self) -> tuple[Tick, ...]:
        return tuple(Tick(self.x(at), f"{at:g}") for at in _five(self.left, self.right))

    def y_ticks(self) -> tuple[Tick, ...]:
        return tuple(Tick(self.y(at), f"{at:g}") for at in _five(self.bottom, self.top))

    def points(self, points: Sequence[Point]) -> str:
        """Those that fall on the one before are left out: a large test set has thousands."""
        placed = [(self.x(x), self.y(y)) for x, y in points]
        kept = [p for n, p in enumerate(placed) if n == 0 or p != placed[n - 1]]
        return " ".join(f"{x:g},{y:g}" for x, y in kept)


def roc_chart(figures: Mapping[str, Figures], *, names: Mapping[str, str]) -> Chart | None:
    """By kind. None where neither has a curve."""
    drawn = {kind: found for kind, found in figures.items() if _roc(found)}
    if not drawn:
        return None
    is_corner = all((_value(found.get("auroc")) or 0.0) >= GOOD_AUROC for found in drawn.values())
    window = _Window(right=CORNER, bottom=1 - CORNER) if is_corner else _Window()
    lines = [
        Line(kind, names[kind], window.points(_roc(found)), tuple(_operating_dots(found, window)))
        for kind, found in drawn.items()
    ]
    return Chart(
        title="ROC curve",
        x_words="false positives among the normal",
        y_words="sensitivity",
        x_ticks=window.x_ticks(),
        y_ticks=window.y_ticks(),
        lines=tuple(lines),
        has_diagonal=not is_corner,
        note="Only the upper left corner, where the curves lie." if is_corner else "",
    )


def calibration_chart(figures: Mapping[str, Figures], *, names: Mapping[str, str]) -> Chart | None:
    """By kind. None where neither has a curve."""
    window = _Window()
    lines = []
    for kind, found in figures.items():
        dots = tuple(_calibration_dots(found, window))
        if dots:
            points = " ".join(f"{dot.x:g},{dot.y:g}" for dot in dots)
            lines.append(Line(kind, names[kind], points, dots))
    if not lines:
        return None
    return Chart(
        title="Calibration",
        x_words="mean probability",
        y_words="share with pneumonia",
        x_ticks=window.x_ticks(),
        y_ticks=window.y_ticks(),
        lines=tuple(lines),
        has_diagonal=True,
        note="On the diagonal a probability is the frequency that it claims to be.",
    )


def _roc(figures: Figures) -> list[Point]:
    return [(x, y) for x, y in figures.get("roc") or ()]


def _operating_dots(figures: Figures, window: _Window) -> Iterator[Dot]:
    """Where its thresholds put it."""
    for name, point in (figures.get("operating_points") or {}).items():
        specificity = _value(point.get("specificity"))
        sensitivity = _value(point.get("sensitivity"))
        if specificity is not None and sensitivity is not None:
            words = f"{name}: sensitivity {sensitivity:.3f}, specificity {specificity:.3f}"
            yield Dot(window.x(1 - specificity), window.y(sensitivity), None, None, words)


def _calibration_dots(figures: Figures, window: _Window) -> Iterator[Dot]:
    for bin_ in figures.get("calibration") or ():
        frequency = bin_["frequency"]
        value = _value(frequency)
        if value is None:
            continue
        low, high = frequency.get("low"), frequency.get("high")
        yield Dot(
            window.x(bin_["mean_probability"]),
            window.y(value),
            None if low is None else window.y(low),
            None if high is None else window.y(high),
            f"{bin_['mean_probability']:.2f} claimed, {value:.2f} found; {bin_['images']} images",
        )


def _value(figure: Any) -> float | None:
    return figure.get("value") if isinstance(figure, Mapping) else figure


def _five(start: float, end: float) -> list[float]:
    return [round(start + (end - start) * part / 4, 3) for part in range(5)]
