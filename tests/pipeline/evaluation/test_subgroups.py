from dataclasses import replace

import numpy as np
import pytest

from pipeline.evaluation.subgroups import LEAST_PATIENTS, age_band, evaluate_subgroups, groups_of
from pipeline.subject import Subject
from tests.support.imaging.scores import card_at, make_scores

CHILD, MAN = Subject("children", "AP", "F", 3.0), Subject("adults", "PA", "M", 45.0)
UNKNOWN = Subject()


def names(*subjects: Subject) -> dict[str, list[str]]:
    return {axis: list(masks) for axis, masks in groups_of(subjects).items()}


def test_groups_have_every_image_once_on_each_axis() -> None:
    groups = groups_of([MAN, CHILD, UNKNOWN, replace(MAN, view="AP")])
    assert {axis: list(masks) for axis, masks in groups.items()} == {
        "population": ["children", "adults", "not stated"],
        "view": ["AP", "PA", "not stated"],
        "population and view": ["adults, AP", "adults, PA", "children, AP", "not stated"],
        "sex": ["F", "M", "not stated"],
        "age": ["under 6", "40 to 64", "not stated"],
    }
    for masks in groups.values():
        assert np.sum(list(masks.values()), axis=0).tolist() == [1, 1, 1, 1]
    assert groups["population"]["adults"].tolist() == [True, False, False, True]


def test_axes_that_say_nothing_are_left_out() -> None:
    assert names(UNKNOWN, UNKNOWN) == {}
    assert names(replace(MAN, sex=None), replace(UNKNOWN, population="adults")).keys() == {
        "population", "view", "age",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("age", "band"), [(0, "under 6"), (6, "6 to 17"), (17.9, "6 to 17"), (65, "65 and older")]
)
def test_age_bands_begin_with_their_first_year(age: float, band: str) -> None:
    assert age_band(age) == band


def test_metrics_of_each_group_and_whether_it_is_small() -> None:
    """Women, all found, are one patient too few; of the men's images half is found."""
    women, men = LEAST_PATIENTS - 1, LEAST_PATIENTS
    labels = [1, 0] * women + [1, 0] * men * 2
    probabilities = [0.9, 0.1] * women + [0.9, 0.1, 0.2, 0.8] * men
    patients = [*range(2 * women), *(1000 + n // 4 * 2 + n % 2 for n in range(4 * men))]
    subjects = [Subject(sex="F")] * 2 * women + [Subject(sex="M")] * 4 * men
    scores = make_scores(labels, probabilities, patients=patients)
    rows = evaluate_subgroups(scores, groups_of(subjects), card=card_at(0.5), draws=20)
    assert [
        (row["axis"], row["group"], row["n"], row["patients"], row["sensitivity"]["value"])
        for row in rows
    ] == [("sex", "F", 2 * women, 2 * women, 1.0), ("sex", "M", 4 * men, 2 * men, 0.5)]
    assert [(row["pneumonia_patients"], row["is_small"]) for row in rows] == [
        (women, True),
        (men, False),
    ]
