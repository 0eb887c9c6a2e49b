"""Curves become numbers for a picture of 100 by 100, with 0,0 at its upper left."""

from typing import Any

from web.learning.charts import calibration_chart, roc_chart

NAMES = {"candidate": "night-1", "production": "v1"}


def figures(auroc: float, *roc: tuple[float, float]) -> dict[str, Any]:
    return {"auroc": {"value": auroc}, "roc": [list(point) for point in roc]}


def test_curves_are_laid_over_each_other() -> None:
    chart = roc_chart(
        {
            "candidate": figures(0.9, (0, 0), (0, 0.5), (1, 1)),
            "production": figures(0.8, (0, 0), (0.5, 0.5), (1, 1)),
        },
        names=NAMES,
    )
    assert chart is not None
    assert [(line.name, line.points) for line in chart.lines] == [
        ("night-1", "0,100 0,50 100,0"),
        ("v1", "0,100 50,50 100,0"),
    ]
    assert [tick.words for tick in chart.x_ticks] == ["0", "0.25", "0.5", "0.75", "1"]


def test_good_curves_are_drawn_where_they_differ() -> None:
    curve = ((0, 0), (0, 0.9), (0.1, 1), (1, 1))
    chart = roc_chart({"candidate": figures(0.99, *curve)}, names=NAMES)
    assert chart is not None
    assert chart.lines[0].points == "0,500 0,50 50,0 500,0", "the rest lies outside the picture"
    assert chart.x_ticks[-1].words == "0.2"
    assert chart.y_ticks[0].words == "0.8"
    assert chart.note


def test_points_that_fall_together_are_drawn_once() -> None:
    crowd = [(0.5, 0.5 + n / 1e6) for n in range(100)]
    chart = roc_chart({"candidate": figures(0.5, (0, 0), *crowd, (1, 1))}, names=NAMES)
    assert chart is not None
    assert chart.lines[0].points == "0,100 50,50 100,0"


def test_a_bin_carries_its_interval() -> None:
    bins = [
        {
            "mean_probability": 0.2,
            "frequency": {"value": 0.1, "low": 0.0, "high": 0.3},
            "images": 9,
        },
        {"mean_probability": 0.9, "frequency": {"value": None}, "images": 1},
    ]
    chart = calibration_chart({"production": {"calibration": bins}}, names=NAMES)
    assert chart is not None
    (line,) = chart.lines
    (dot,) = line.dots
    assert (dot.x, dot.y, dot.low, dot.high) == (20.0, 90.0, 100.0, 70.0)
    assert dot.words == "0.20 claimed, 0.10 found; 9 images"


def test_without_curves_there_is_no_chart() -> None:
    assert roc_chart({"candidate": {"auroc": None, "roc": []}}, names=NAMES) is None
    assert calibration_chart({"candidate": {}}, names=NAMES) is None
