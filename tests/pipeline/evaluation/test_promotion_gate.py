"""The gate: what it lets through, what it refuses, and in which words."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.binormal import World
from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.compare import Comparison, Pair, compare, level_of_each
from pipeline.evaluation.promotion_gate import Gate, decide_promotion
from tests.pipeline.evaluation.test_compare import answers, test_sets

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


def test_better_somewhere_and_nowhere_worse_is_a_yes() -> None:
    decision = decide_promotion([a_comparison("public"), a_comparison(auroc=BETTER)], gate=GATE)
    assert decision.is_yes
    assert decision.reason == (
        "Better on site (81 patients), with an AUROC of 0.962 against production's 0.951, a "
        "difference of 0.011 (0.003 to 0.019); nowhere worse by more than the margins."
    )
    assert decision.as_json()["comparisons"][1]["auroc"]["difference"]["low"] == 0.003
    assert decision.as_json()["gate"]["min_patients"] == 30


def test_no_test_set_is_no_evidence() -> None:
    assert reason_of().startswith("Not enough evidence: there is no labelled test image")


def test_statistics_of_another_network_are_refused() -> None:
    better = a_comparison(auroc=BETTER)
    assert "familiarity" in reason_of(better, is_guard_refreshed=False)


@pytest.mark.parametrize("few", [{"pneumonia_patients": 12}, {"normal_patients": 0}])
def test_too_few_patients_of_a_finding_are_not_enough_evidence(few: dict[str, Any]) -> None:
    reason = reason_of(a_comparison("public"), a_comparison(auroc=BETTER, **few))
    assert reason.startswith("Not enough evidence: the test images of site show")
    assert reason.endswith("and it takes 30 of each.")


def test_what_is_worse_is_called_worse() -> None:
    worse = a_comparison("public", auroc=pair(0.912, 0.951, -0.067, -0.012))
    assert reason_of(a_comparison(auroc=BETTER), worse) == (
        "Refused: on public (81 patients) the candidate's AUROC of 0.912 is lower than "
        "production's 0.951 by 0.039 (0.012 to 0.067)."
    )


def test_worse_is_told_before_too_few() -> None:
    few = a_comparison(pneumonia_patients=3)
    worse = a_comparison("public", sensitivity=pair(0.8, 0.95, -0.2, -0.1))
    assert "sensitivity of 0.800 is lower" in reason_of(few, worse)


def test_of_few_patients_nothing_is_called_worse() -> None:
    few = a_comparison(pneumonia_patients=3, auroc=pair(0.8, 0.9, -0.1, -0.1))
    assert reason_of(few).startswith("Not enough evidence")


def test_what_may_be_worse_is_told_apart() -> None:
    unclear = a_comparison(auroc=BETTER, sensitivity=pair(0.95, 0.95, -0.07, 0.07))
    assert reason_of(unclear) == (
        "Refused: on site (81 patients) the candidate's sensitivity of 0.950 cannot be shown to "
        "be no worse than production's 0.950: with a difference of 0.000 (-0.070 to 0.070), a "
        "loss of more than 0.05 is possible."
    )


def test_no_better_is_refused() -> None:
    luckier = a_comparison(auroc=pair(0.953, 0.951, -0.0001, 0.005))
    reason = reason_of(a_comparison("public"), luckier)
    assert reason.startswith("Refused: nowhere is the candidate shown to be better; on site")
    assert "0.002 (-0.00010 to 0.005)" in reason


def test_a_better_order_does_not_buy_a_flood_of_alarms() -> None:
    lost = a_comparison(auroc=BETTER, specificity=pair(0.7, 0.9, -0.25, -0.15))
    assert "specificity of 0.700 is lower" in reason_of(lost)


def test_nor_silence() -> None:
    silent = a_comparison(auroc=BETTER, unanswered=pair(0.12, 0.02, 0.06, 0.14))
    assert "leaves 12.0% of the images without an answer, production 2.0%" in reason_of(silent)


def test_answers_that_are_no_numbers_are_refused() -> None:
    labels = [1, 0] * 30
    broken = answers(labels, [float("nan")] * 60)
    found = compare("site", broken, answers(labels, [0.9, 0.1] * 30))
    assert reason_of(found) == "Refused: on site (60 patients) not every answer is a number."


def test_intervals_must_do_for_all_sets() -> None:
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
def test_a_set_more_on_which_it_is_no_better_never_turns_a_no_into_a_yes(
    known: list[Comparison], added: Comparison
) -> None:
    before = decide_promotion(known, gate=GATE)
    after = decide_promotion([*known, added], gate=GATE)
    is_better = added.auroc.difference.low is not None and added.auroc.difference.low > 0
    if not before.is_yes and not is_better:
        assert not after.is_yes


@settings(max_examples=40, deadline=None)
@given(both=test_sets(), margin=st.floats(0.001, 0.9))
def test_the_same_answers_are_never_promoted(both: tuple, margin: float) -> None:
    gate = Gate(auroc_margin=margin, sensitivity_margin=margin, min_patients=1)
    found = compare("site", both[0], both[0], draws=100)
    assert not decide_promotion([found], gate=gate).is_yes


def test_a_true_gain_is_promoted_where_patients_are_many() -> None:
    random = np.random.default_rng(4)
    for _ in range(5):
        found = compare("site", *World(600, 0.85, gain=0.05).draw(random), draws=400)
        assert decide_promotion([found], gate=GATE).is_yes
