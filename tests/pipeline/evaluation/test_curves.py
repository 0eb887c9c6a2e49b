"""The curves of the report as numbers, and as pictures that may stand in a page."""

import numpy as np

from pipeline.evaluation.curves import reliability_curve, roc_curve, thinned_roc
from pipeline.evaluation.evaluate import Scores, evaluate
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.reports.evaluation_report import draw_curves


def scores(labels: list[int], probabilities: list[float]) -> Scores:
    count = len(labels)
    return Scores(
        np.array(labels, np.uint8),
        np.array(probabilities),
        np.zeros(count),
        np.arange(count, dtype=np.uint64),
    )


def test_reliability_says_what_was_said_and_what_was_so() -> None:
    low, high = reliability_curve(scores([0, 0, 1, 0, 1], [0.02, 0.04, 0.06, 0.08, 1.0]))
    assert (low.low, low.high, low.images) == (0, 0.1, 4)
    assert (low.mean_probability, low.frequency.value) == (0.05, 0.25)
    assert low.frequency.low < 0.25 < low.frequency.high
    assert (high.low, high.images, high.mean_probability) == (0.9, 1, 1)
    assert high.frequency.value == high.frequency.low == high.frequency.high == 1


def test_the_roc_begins_and_ends_in_the_corners() -> None:
    false, true = roc_curve(np.array([0, 1, 1], np.uint8), np.array([0.5, 0.5, 0.7]))
    assert false.tolist() == [0, 0, 1]
    assert true.tolist() == [0, 0.5, 1]


def test_a_thinned_roc_is_the_curve_with_fewer_points() -> None:
    random = np.random.default_rng(7)
    labels = random.integers(0, 2, 3000)
    one = scores(list(labels), list(random.normal(labels, 1.0)))
    points = np.array(thinned_roc(one))
    assert 150 < len(points) <= 200
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [1, 1]
    false, true = roc_curve(one.labels, one.probabilities)
    whole, thinned = np.trapezoid(true, false), np.trapezoid(points[:, 1], points[:, 0])
    assert abs(whole - thinned) < 0.005


def test_a_short_roc_keeps_all_its_points() -> None:
    assert thinned_roc(scores([0, 1, 1], [0.5, 0.5, 0.7])) == [(0, 0), (0, 0.5), (1, 1)]
    assert thinned_roc(scores([1, 1], [0.5, 0.7])) == []


def test_equal_figures_give_equal_pictures() -> None:
    one = scores([0, 1, 1, 0], [0.1, 0.9, 0.3, 0.4])
    found = evaluate(one, card=load_card(BASELINE), draws=10)
    pictures = draw_curves(one, found)
    assert pictures.keys() == {"roc", "precision_recall", "reliability", "histogram"}
    assert pictures == draw_curves(one, found)
    assert all(picture.startswith("<svg") for picture in pictures.values())


def test_one_class_has_no_curves_that_need_two() -> None:
    one = scores([1, 1], [0.1, 0.9])
    found = evaluate(one, card=load_card(BASELINE), draws=10)
    assert draw_curves(one, found).keys() == {"reliability", "histogram"}
