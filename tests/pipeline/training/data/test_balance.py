"""How often an epoch uses each image, and how much each weighs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.data.balance import (
    LEAST_OF_CLASS,
    MAX_REPEATS,
    balance,
    one_class_origins,
    stratified_weights,
)

FEW = LEAST_OF_CLASS


def make(*counts: tuple[str, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and strata. counts: of each stratum its name, normal and pneumonia images."""
    labels = [np.repeat([0, 1], (normal, pneumonia)) for _, normal, pneumonia in counts]
    strata = [np.full(normal + pneumonia, name) for name, normal, pneumonia in counts]
    return np.concatenate(labels).astype(np.uint8), np.concatenate(strata)


def everything(labels: np.ndarray) -> np.ndarray:
    return np.arange(len(labels))


@given(
    st.lists(st.tuples(st.integers(FEW, 90), st.integers(FEW, 90)), min_size=1, max_size=4),
    st.floats(0, 0.5),
)
def test_classes_weigh_the_same_within_each_stratum(
    counts: list[tuple[int, int]], share: float
) -> None:
    labels, strata = make(*((f"stratum {n}", *both) for n, both in enumerate(counts)))
    epoch = balance(labels, strata, indices=everything(labels), rarer_share=share)
    weights, of_epoch = epoch.weights[epoch.indices], labels[epoch.indices]
    for stratum in np.unique(strata):
        inside = strata[epoch.indices] == stratum
        sums = [weights[inside & (of_epoch == label)].sum() for label in (0, 1)]
        np.testing.assert_allclose(sums, inside.sum() / 2)
        normal, pneumonia = np.bincount(of_epoch[inside], minlength=2)
        ratio = min(normal, pneumonia) / max(normal, pneumonia)
        assert ratio >= 2 / 3 * share / (1 - share) - 1e-6, "whole repetitions are rounded"
    assert set(epoch.indices) == set(everything(labels))


def test_balance_repeats_the_rarer_class_only_as_often_as_needed() -> None:
    labels, strata = make(("children AP", 135, 388), ("adults PA", 79, 7))
    epoch = balance(labels, strata, indices=everything(labels), rarer_share=0.25)
    times = np.bincount(epoch.indices)
    assert set(times[strata == "children AP"]) == {1}
    assert set(times[(strata == "adults PA") & (labels == 0)]) == {1}
    assert set(times[(strata == "adults PA") & (labels == 1)]) == {4}


def test_balance_keeps_repetitions_of_the_given_indices() -> None:
    labels, strata = make(("site", 6, 6))
    indices = np.array([0, 0, *range(12)])
    epoch = balance(labels, strata, indices=indices, rarer_share=0.25)
    assert sorted(epoch.indices) == sorted(indices)


def test_balance_repeats_at_most_so_often() -> None:
    labels, strata = make(("", 1000, FEW))
    epoch = balance(labels, strata, indices=everything(labels), rarer_share=0.5)
    assert np.bincount(epoch.indices).max() == MAX_REPEATS
    assert epoch.weights[-1] == pytest.approx((1000 + MAX_REPEATS * FEW) / 2 / MAX_REPEATS / FEW)


@pytest.mark.parametrize("few", [(FEW - 1, 80), (80, 0)])
def test_stratum_with_few_of_a_class_joins_the_largest(few: tuple[int, int]) -> None:
    """By itself it would teach that whoever is in it has that class."""
    labels, strata = make(("adults AP", 60, 60), ("adults PA", 20, 20), ("children", *few))
    alone = stratified_weights(labels, strata)
    joined = np.where(strata == "children", "adults AP", strata)
    np.testing.assert_array_equal(alone, stratified_weights(labels, joined))
    assert len(set(alone[labels == 1])) == 2


def test_small_strata_are_one_if_together_they_have_enough() -> None:
    labels, strata = make(("adults", 60, 30), ("one", 30, 0), ("other", 0, 10))
    weights = stratified_weights(labels, strata)
    small = strata != "adults"
    assert weights[small & (labels == 1)].sum() == pytest.approx(20)
    assert weights[small & (labels == 0)].sum() == pytest.approx(20)


def test_one_class_alone_weighs_something() -> None:
    labels, strata = make(("one", 3, 0))
    assert stratified_weights(labels, strata).min() > 0


def test_one_class_origins() -> None:
    origins = ["a", "b", "a", "c", "b"]
    assert one_class_origins([0, 1, 1, 0, 1], origins) == {"b": 1, "c": 0}
    assert one_class_origins([], []) == {}
