import xml.etree.ElementTree as ET
from typing import Any

from pipeline.reports.charts import (
    Chart,
    calibration_chart,
    learning_curves_svg,
    precision_recall_chart,
    probability_chart,
    roc_chart,
)

NAMES = {"candidate": '"<night>&', "production": "v1"}
POINT = {"threshold": 0.4, "sensitivity": {"value": 0.75}, "specificity": {"value": 0.5}}


def figures(auroc: float, *roc: tuple[float, float]) -> dict[str, Any]:
    return {"auroc": {"value": auroc}, "roc": [list(point) for point in roc]}


def polylines(chart: Chart) -> dict[str, str]:
    """By their class; the points as drawn, in percent of the plot from its upper left corner."""
    root = ET.fromstring(chart.svg())  # noqa: S314
    found = root.iter("polyline")
    return {line.attrib["class"]: line.attrib["points"] for line in found}


def circles(chart: Chart) -> list[dict[str, str]]:
    return [dot.attrib for dot in ET.fromstring(chart.svg()).iter("circle")]  # noqa: S314


def test_roc_chart_draws_both_versions() -> None:
    chart = roc_chart(
        {
            "candidate": figures(0.9, (0, 0), (0, 0.5), (1, 1)),
            "production": figures(0.8, (0, 0), (0.5, 0.5), (1, 1)),
        },
        names=NAMES,
    )
    assert polylines(chart) == {
        "curve candidate": "0,100 0,50 100,0",
        "curve production": "0,100 50,50 100,0",
    }
    assert [text for _, text in chart.x.marks()] == ["0", "0.25", "0.5", "0.75", "1"]
    assert 'aria-label="ROC curve: &quot;&lt;night&gt;&amp; and v1"' in chart.svg()


def test_roc_chart_enlarges_the_corner_for_two_good_versions() -> None:
    curve = ((0, 0), (0, 0.9), (0.1, 1), (1, 1))
    both = {"candidate": figures(0.99, *curve), "production": figures(0.98, *curve)}
    chart = roc_chart(both, names=NAMES)
    assert polylines(chart)["curve candidate"] == "0,500 0,50 50,0 500,0"
    assert (chart.x.marks()[-1][1], chart.y.marks()[0][1]) == ("0.2", "0.8")
    assert chart.note


def test_roc_chart_marks_operating_points_within_the_plot() -> None:
    outside = POINT | {"sensitivity": {"value": None}}
    found = figures(0.9, (0, 0), (1, 1)) | {
        "operating_points": {"balanced": POINT, "sensitive": outside}
    }
    chart = roc_chart({"candidate": found}, names=NAMES)
    (dot,) = circles(chart)
    assert dot["class"] == "dot candidate balanced"
    assert (dot["cx"], dot["cy"]) == ("86.0", "29.5")


def test_polyline_leaves_out_repeated_points() -> None:
    crowd = [(0.5, 0.5 + n / 1e6) for n in range(100)]
    chart = roc_chart({"candidate": figures(0.5, (0, 0), *crowd, (1, 1))}, names=NAMES)
    assert polylines(chart) == {"curve candidate": "0,100 50,50 100,0"}


def test_calibration_chart_shows_intervals() -> None:
    bins = [
        {
            "mean_probability": 0.2,
            "frequency": {"value": 0.1, "low": 0.0, "high": 0.3},
            "images": 9,
        },
        {"mean_probability": 0.9, "frequency": {"value": None}, "images": 1},
    ]
    chart = calibration_chart({"production": {"calibration": bins}}, names=NAMES)
    (line,) = chart.lines
    (dot,) = line.dots
    assert (dot.x, dot.y, dot.low, dot.high) == (0.2, 0.1, 0.0, 0.3)
    assert dot.text == "0.20 predicted, 0.10 observed; 9 images"
    assert 'class="span production"' in chart.svg()


def test_charts_without_curves_are_none() -> None:
    assert roc_chart({"candidate": {"auroc": None, "roc": []}}, names=NAMES) is None
    assert calibration_chart({"candidate": {}}, names=NAMES) is None
    assert precision_recall_chart({"precision_recall": []}, name="v1") is None


def test_probability_chart_draws_a_histogram_per_class() -> None:
    counts = {"normal": [99, 0], "pneumonia": [0, 1]}
    found = {"probability_counts": counts, "operating_points": {"balanced": POINT}}
    chart = probability_chart(found, name="v1")
    drawn = polylines(chart)
    assert drawn["curve area normal"] == "0,100 0,3.8 50,3.8 50,100 100,100"
    assert chart.references[0][0] == (0.4, 0)
    assert ("pneumonia", "pneumonia (1)") in chart.key


def test_learning_curves_are_a_standalone_file() -> None:
    nan = float("nan")
    drawing = learning_curves_svg(
        loss=[0.7, 0.5], validation_loss=[0.6, nan], validation_auroc=[0.8, 0.9], head_epochs=1
    )
    root = ET.fromstring(drawing)  # noqa: S314
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 3
    assert learning_curves_svg(loss=[], validation_loss=[], validation_auroc=[], head_epochs=0)
