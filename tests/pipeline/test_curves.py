"""The curves of the report as numbers, and as pictures that may stand in a page."""

import numpy as np

from pipeline.curves import reliability_curve, roc_curve
from pipeline.evaluation import Scores, evaluate
from pipeline.report_plots import draw_curves
from pipeline.version_folder import BASELINE, load_card


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
