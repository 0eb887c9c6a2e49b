from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.accuracy.power import World
from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.versions.compare import Comparison, Pair, compare, level_of_each
from pipeline.evaluation.versions.promotion_gate import Gate, decide_promotion
from tests.pipeline.evaluation.versions.test_compare import answers, test_sets

GATE = Gate(auroc_margin=0.02, sensitivity_margin=0.05, min_patients=30)
SAME = Pair(Interval(0.9, 0.85, 0.95), Interval(0.9, 0.85, 0.95), Interval(0.0, -0.01, 0.01))


def pair(candidate: float, production: float, low: float, high: float) -> Pair:
    return Pair(
        Interval(candidate, candidate - 0.02, candidate + 0.02),
        Interval(production, production - 0.02, production + 0.02),
        Interval(candidate - production, low, high),
    )


BETTER = pair(0.962, 0.951, 0.003, 0.019)


def a_comparison(
    name: str = "site",
    *,
    auroc: Pair = SAME,
    sensitivity: Pair = SAME,
    specificity: Pair = SAME,
    unanswered: Pair = SAME,
    pneumonia_patients: int = 40,
    normal_patients: int = 41,
) -> Comparison:
    """At a level that does for ten test sets."""
    return Comparison(
        name=name,
        images=100,
        patients=81,
        pneumonia_patients=pneumonia_patients,
        normal_patients=normal_patients,
        level=level_of_each(10),
        candidate={},
        production={},
        auroc=auroc,
        sensitivity=sensitivity,
        specificity=specificity,
        unanswered=unanswered,
    )


def reason_of(*comparisons: Comparison, is_guard_refreshed: bool = True) -> str:
    decision = decide_promotion(comparisons, gate=GATE, is_guard_refreshed=is_guard_refreshed)
    assert not decision.is_yes
    assert decision.reason.endswith(".")
    assert len(decision.reason) < 500  # the column of a night's reason
    return decision.reason


def test_small_loss_of_specificity_is_no_objection() -> None:
    """Although chance does not explain it."""
    found = a_comparison(auroc=BETTER, specificity=pair(0.88, 0.9, -0.035, -0.005))
    assert decide_promotion([found], gate=GATE).is_yes


def test_better_on_one_set_and_worse_on_none_is_promoted() -> None:
    decision = decide_promotion([a_comparison("public"), a_comparison(auroc=BETTER)], gate=GATE)
    assert decision.is_yes
    assert decision.reason == (
        "Better on site (81 patients): AUROC 0.962 against production's 0.951, difference 0.011 "
        "(0.003 to 0.019); no test set worse by more than the margins."
    )
    assert decision.as_json()["comparisons"][1]["auroc"]["difference"]["low"] == 0.003
    assert decision.as_json()["gate"]["min_patients"] == 30


CASES = {
    "no test set": ([], "Not enough evidence: no labelled test images."),
    "worse AUROC": (
        [
            a_comparison(auroc=BETTER),
            a_comparison("public", auroc=pair(0.912, 0.951, -0.067, -0.012)),
        ],
        "Refused: on public (81 patients) the candidate's AUROC of 0.912 is lower than "
        "production's 0.951 by 0.039 (0.012 to 0.067).",
    ),
    "worse comes before too few patients": (
        [
            a_comparison(pneumonia_patients=3),
            a_comparison("public", sensitivity=pair(0.8, 0.95, -0.2, -0.1)),
        ],
        "sensitivity of 0.800 is lower",
    ),
    "too few patients to show worse": (
        [a_comparison(pneumonia_patients=3, auroc=pair(0.8, 0.9, -0.1, -0.1))],
        "Not enough evidence",
    ),
    "a possible loss beyond the margin": (
        [a_comparison(auroc=BETTER, sensitivity=pair(0.95, 0.95, -0.07, 0.07))],
        "Refused: on site (81 patients) sensitivity 0.950 against production's 0.950, difference "
        "0.000 (-0.070 to 0.070), so a loss of more than 0.05 is not excluded.",
    ),
    "not shown to be better": (
        [a_comparison("public"), a_comparison(auroc=pair(0.953, 0.951, -0.0001, 0.005))],
        "Refused: not shown to be better on any test set; on site (81 patients) AUROC 0.953 "
        "against production's 0.951, difference 0.002 (-0.00010 to 0.005).",
    ),
    "lower specificity": (
        [a_comparison(auroc=BETTER, specificity=pair(0.7, 0.9, -0.25, -0.15))],
        "specificity of 0.700 is lower",
    ),
    "more unanswered images": (
        [a_comparison(auroc=BETTER, unanswered=pair(0.12, 0.02, 0.06, 0.14))],
        "12 % of the candidate's images get no finding, 2.0 % of production's",
    ),
}


@pytest.mark.parametrize(("comparisons", "reason"), CASES.values(), ids=CASES)
def test_refusal_gives_its_reason(comparisons: list[Comparison], reason: str) -> None:
    assert reason in reason_of(*comparisons)


def test_unfitted_out_of_distribution_check_is_refused() -> None:
    better = a_comparison(auroc=BETTER)
    assert "out-of-distribution check" in reason_of(better, is_guard_refreshed=False)


@pytest.mark.parametrize("few", [{"pneumonia_patients": 29}, {"normal_patients": 29}])
def test_too_few_patients_of_a_finding_are_not_enough_evidence(few: dict[str, Any]) -> None:
    reason = reason_of(a_comparison("public"), a_comparison(auroc=BETTER, **few))
    assert reason.startswith("Not enough evidence: site has")
    assert reason.endswith("; 30 of each are needed.")


def test_least_number_of_patients_is_enough() -> None:
    least = a_comparison(auroc=BETTER, pneumonia_patients=30, normal_patients=30)
    assert decide_promotion([least], gate=GATE).is_yes


def test_scores_that_are_not_numbers_are_refused() -> None:
    labels = [1, 0] * 30
    broken = answers(labels, [float("nan")] * 60)
    found = compare("site", broken, answers(labels, [0.9, 0.1] * 30))
    assert reason_of(found) == "Refused: on site (60 patients) some scores are not numbers."


def test_intervals_must_hold_for_all_sets_together() -> None:
    narrow = replace(a_comparison(), level=0.95)
    assert not decide_promotion([narrow], gate=GATE).is_yes
    with pytest.raises(ValueError, match=r"site: expected intervals of 97.50% for 2 test sets"):
        decide_promotion([narrow, narrow], gate=GATE)


intervals = st.lists(st.sampled_from([-0.1, -0.03, -0.01, 0.0, 0.004, 0.02]), min_size=3).map(
    lambda values: Interval(sorted(values)[1], min(values), max(values))
)
pairs = st.builds(Pair, st.just(SAME.candidate), st.just(SAME.production), intervals)
comparisons = st.builds(
    a_comparison,
    auroc=pairs,
    sensitivity=pairs,
    specificity=pairs,
    unanswered=pairs,
    pneumonia_patients=st.sampled_from([0, 29, 30, 500]),
)


@settings(max_examples=80, deadline=None)
@given(known=st.lists(comparisons, max_size=3), added=comparisons)
def test_another_set_without_a_gain_never_turns_no_into_yes(
    known: list[Comparison], added: Comparison
) -> None:
    before = decide_promotion(known, gate=GATE)
    after = decide_promotion([*known, added], gate=GATE)
    is_better = added.auroc.difference.low is not None and added.auroc.difference.low > 0
    if not before.is_yes and not is_better:
        assert not after.is_yes


@settings(max_examples=40, deadline=None)
@given(both=test_sets(), margin=st.floats(0.001, 0.9))
def test_identical_predictions_are_never_promoted(both: tuple, margin: float) -> None:
    gate = Gate(auroc_margin=margin, sensitivity_margin=margin, min_patients=1)
    found = compare("site", both[0], both[0], draws=100)
    assert not decide_promotion([found], gate=gate).is_yes


def test_true_gain_is_promoted_with_many_patients() -> None:
    random = np.random.default_rng(4)
    for _ in range(5):
        found = compare("site", *World(600, 0.85, gain=0.05).draw(random), draws=400)
        assert decide_promotion([found], gate=GATE).is_yes
