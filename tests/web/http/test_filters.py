"""Template filters and figures of model cards of both formats."""

from typing import Any
from unittest.mock import Mock

import pytest

from web.http.filters import heatmap_words, prevalence_words, unfamiliarity_words
from web.learning.cards import Figure, figure_rows


@pytest.mark.parametrize(
    ("unfamiliarity", "card", "words"),
    [
        (0.2, {"unfamiliarity_limit": 0.5, "warning_limit": 0.3}, "in distribution"),
        (0.4, {"unfamiliarity_limit": 0.5, "warning_limit": 0.3}, "borderline"),
        (0.6, {"unfamiliarity_limit": 0.5, "warning_limit": 0.3}, "out of distribution"),
        (0.4, {"unfamiliarity_limit": 0.5}, "in distribution"),
    ],
)
def test_unfamiliarity_words_use_the_versions_limits(
    unfamiliarity: float, card: dict[str, float], words: str
) -> None:
    assert unfamiliarity_words(unfamiliarity, card) == words


@pytest.mark.parametrize(
    ("scores", "tail"), [({}, ""), ({"kinds": {"focal": {"images": 20, "hits": 9}}}, "In 9 of 20 ")]
)
def test_heatmap_words_state_what_the_card_measured(scores: dict[str, Any], tail: str) -> None:
    answer = Mock(heatmap_peak=1.0, heatmap_concentration=1.0, heatmap_inside_body=1.0)
    words = heatmap_words(answer, {"heatmap_scores": scores} if scores else {})
    assert words.startswith(f"Focal activation (about 5 % of the image). {tail}".rstrip())
    assert bool(tail) == ("In 9 of 20 " in words)


def test_figures_without_points_belong_to_the_named_operating_point() -> None:
    found = {
        "n": 9,
        "auroc": {"value": 0.9, "low": 0.8, "high": 1.0},
        "operating_point": "sensitive",
    }
    (row,) = figure_rows({"metrics": {"a": found}})
    assert (row.point, row.images, row.patients) == ("sensitive", 9, None)
    assert row.figures["auroc"] == Figure(0.9, 0.8, 1.0)
    assert row.figures["ece"] == Figure(None)


RATES = {"sensitivity": {"value": 0.9}, "specificity": {"value": 0.8}}
ADULTS = {
    "axis": "population", "group": "adults", "sensitivity": {"value": 0.8},
    "specificity": {"value": 0.9},
}  # fmt: skip
MEASURED = {
    "metrics": {"validation": {"operating_points": {"balanced": RATES}}},
    "subgroups": {"validation": [ADULTS]},
}


def at_one_tenth(population: str | None = None, age: str = "", point: str = "balanced") -> str:
    answer = Mock(
        prevalence=0.1, adjusted_probability=0.43, population=population, operating_point=point
    )
    return prevalence_words(answer, MEASURED, {"PatientAge": age})


def test_predictive_values_are_those_of_the_images_population() -> None:
    """Of 1000 with 100 ill: 90 found and 180 wrongly so; of adults 80 and 90."""
    probability = "At a prevalence of 10.0%: probability 43 %"
    assert at_one_tenth() == f"{probability}; PPV 33 %, NPV 99 % by the card's validation."
    adult = at_one_tenth("adults", "040Y")
    assert adult == f"{probability}; PPV 47 %, NPV 98 % by the card's validation, adults."


def test_predictive_values_of_others_are_not_told() -> None:
    alone = "At a prevalence of 10.0%: probability 43 %."
    assert at_one_tenth(age="018Y") == alone, "measured on children"
    assert at_one_tenth("children") == at_one_tenth("adults", point="sensitive") == alone
    assert prevalence_words(Mock(prevalence=None), MEASURED, {}) == ""
