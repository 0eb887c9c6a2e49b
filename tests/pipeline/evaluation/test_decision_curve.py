import pytest

from pipeline.evaluation.decision_curve import decision_curve
from pipeline.prevalence import predictive_values, probability_at
from tests.support.imaging.scores import make_scores


def test_net_benefit_by_hand() -> None:
    """At 0.5 of a prevalence of one half: 2 of 4 found, 1 of 4 wrongly called, at even odds."""
    scores = make_scores([1, 1, 1, 1, 0, 0, 0, 0], [0.9, 0.6, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1])
    found = decision_curve(scores, draws=20)
    assert found
    by_threshold = {point["threshold"]: point for point in found["points"]}
    assert found["prevalence"] == 0.5
    assert by_threshold[0.5]["net_benefit"]["value"] == pytest.approx((2 - 1) / 8)
    assert by_threshold[0.5]["all"] == pytest.approx(0)
    assert by_threshold[0.7]["net_benefit"]["value"] == pytest.approx(
        1 / 8 - 1 / 8 * 7 / 3, abs=1e-6
    )
    low = by_threshold[0.02]
    assert low["net_benefit"]["value"] == low["all"] == pytest.approx(0.5 - 0.5 * 2 / 98, abs=1e-6)


def test_net_benefit_at_another_prevalence_moves_the_probabilities() -> None:
    """A probability of 0.9 at one half is 0.5 at one tenth, so nobody is called above that."""
    scores = make_scores([1, 0], [0.9, 0.1])
    found = decision_curve(scores, prevalence=0.1, draws=20)
    assert found
    benefits = {point["threshold"]: point["net_benefit"]["value"] for point in found["points"]}
    assert benefits[0.46] == pytest.approx(0.1)
    assert benefits[0.54] == 0


def test_one_class_alone_has_no_decision_curve() -> None:
    assert decision_curve(make_scores([1, 1], [0.9, 0.1])) is None


def test_probability_follows_the_prevalence_by_bayes() -> None:
    assert probability_at(0.9, prevalence=0.1) == pytest.approx(0.5)
    assert probability_at(0.37, prevalence=0.5) == pytest.approx(0.37)
    assert [probability_at(one, prevalence=0.01) for one in (0.0, 1.0)] == [0, 1]


def test_predictive_values_by_hand() -> None:
    """Of 1000, 100 with pneumonia: 90 found, 10 missed; 180 wrongly called, 720 rightly not."""
    ppv, npv = predictive_values(sensitivity=0.9, specificity=0.8, prevalence=0.1)
    assert [ppv, npv] == pytest.approx([90 / 270, 720 / 730])
    assert predictive_values(sensitivity=0, specificity=1, prevalence=0.1)[0] is None
