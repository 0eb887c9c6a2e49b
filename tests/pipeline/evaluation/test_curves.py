import numpy as np

from pipeline.evaluation.curves import reliability_curve, roc_curve, roc_points
from pipeline.evaluation.evaluate import evaluate
from pipeline.reports.evaluation_report import draw_charts
from tests.support.imaging.scores import SHIPPED, make_scores


def test_reliability_curve_has_predicted_and_observed_shares() -> None:
    low, high = reliability_curve(make_scores([0, 0, 1, 0, 1], [0.02, 0.04, 0.06, 0.08, 1.0]))
    frequency = low.pop("frequency")
    assert low == {"low": 0, "high": 0.1, "images": 4, "mean_probability": 0.05}
    assert frequency["low"] < frequency["value"] == 0.25 < frequency["high"]
    assert (high["low"], high["images"], high["mean_probability"]) == (0.9, 1, 1)
    assert high["frequency"] == {"value": 1, "low": 1, "high": 1}


def test_roc_points_are_the_curve_with_fewer_points() -> None:
    random = np.random.default_rng(7)
    labels = random.integers(0, 2, 3000)
    one = make_scores(list(labels), list(random.normal(labels, 1.0)))
    points = np.array(roc_points(one))
    assert 150 < len(points) <= 200
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [1, 1]
    false, true = roc_curve(one.labels, one.probabilities)
    whole, thinned = np.trapezoid(true, false), np.trapezoid(points[:, 1], points[:, 0])
    assert abs(whole - thinned) < 0.005


def test_roc_points_keep_a_short_curve() -> None:
    assert roc_points(make_scores([0, 1, 1], [0.5, 0.5, 0.7])) == [[0, 0], [0, 0.5], [1, 1]]
    assert roc_points(make_scores([1, 1], [0.5, 0.7])) == []


def test_charts_of_one_class_leave_out_those_that_need_two() -> None:
    both = make_scores([0, 1, 1, 0], [0.1, 0.9, 0.3, 0.4])
    one = make_scores([1, 1], [0.1, 0.9])
    titles = [
        [chart.title for chart in draw_charts(part, evaluate(part, card=SHIPPED, draws=10))]
        for part in (both, one)
    ]
    assert titles[0] == ["ROC curve", "Precision and recall", *titles[1]]
    assert titles[1] == ["Calibration", "Probabilities by class"]
