import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.accuracy.power import World
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.metrics import auroc
from pipeline.evaluation.versions.compare import FIGURES, Answers, compare, level_of_each
from tests.support.imaging.scores import card_at, make_scores


def answers(
    labels: list[int],
    probabilities: list[float],
    *,
    patients: list[int] | None = None,
    unfamiliar: int = 0,
    threshold: float = 0.5,
) -> Answers:
    """unfamiliar: how many images get no answer."""
    scores = make_scores(labels, probabilities, patients=patients)
    scores.unfamiliarities[len(labels) - unfamiliar :] = 1
    return Answers(scores, card_at(threshold))


@st.composite
def test_sets(draw: st.DrawFn) -> tuple[Answers, Answers]:
    """Both findings or one, ties, perfect orders, several images of a patient."""
    count = draw(st.integers(1, 12))
    labels = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    patients = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    values = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), min_size=count, max_size=count)
    one, other = draw(values), draw(values)
    return answers(labels, one, patients=patients), answers(labels, other, patients=patients)


test_sets.__test__ = False  # type: ignore[attr-defined]


def test_metrics_equal_those_of_an_evaluation() -> None:
    candidate, production = World(60, 0.9, gain=0.03, most_images=3).draw(np.random.default_rng(3))
    found = compare("site", candidate, production)
    expected = evaluate(production.scores, card=production.card)
    assert found.auroc.production.as_json() == expected["auroc"]
    assert found.sensitivity.production.as_json() == expected["sensitivity"]
    assert found.auroc.candidate.value == pytest.approx(
        auroc(candidate.scores.labels, candidate.scores.probabilities)
    )


def test_paired_difference_is_narrower_than_either_metric() -> None:
    found = compare("site", *World(200, 0.9, correlation=0.9).draw(np.random.default_rng(1)))
    width = {
        side: getattr(found.auroc, side).high - getattr(found.auroc, side).low
        for side in ("candidate", "difference")
    }
    assert width["difference"] < 0.6 * width["candidate"]


def test_each_version_uses_its_own_threshold_and_limit() -> None:
    labels = [1, 1, 0, 0]
    candidate = answers(labels, [0.3, 0.4, 0.1, 0.2], threshold=0.25, unfamiliar=1)
    production = answers(labels, [0.3, 0.6, 0.1, 0.2], threshold=0.5)
    found = compare("site", candidate, production)
    assert (found.sensitivity.candidate.value, found.sensitivity.production.value) == (1, 0.5)
    assert found.unanswered.difference.value == 0.25


def test_patients_are_counted_by_finding() -> None:
    one = answers([1, 0, 1, 1, 0], [0.5] * 5, patients=[1, 1, 1, 2, 3])
    found = compare("site", one, one)
    counted = found.patients, found.pneumonia_patients, found.normal_patients, found.images
    assert counted == (3, 2, 2, 5)


def test_higher_level_widens_the_interval() -> None:
    both = World(100, 0.9).draw(np.random.default_rng(2))
    usual, strict = compare("site", *both), compare("site", *both, level=level_of_each(2))
    assert strict.auroc.difference.low < usual.auroc.difference.low
    assert strict.auroc.difference.high > usual.auroc.difference.high
    assert (usual.level, strict.level) == (0.95, 0.975)


@pytest.mark.parametrize(("lost", "exact"), [(0, 0.0362), (1, 0.0545), (4, 0.0993)])
def test_interval_of_few_patients_includes_unseen_losses(lost: int, exact: float) -> None:
    """exact: what may be lost when so many of 100 are (Clopper and Pearson, 97.5 %)."""
    labels = [1] * 100 + [0] * 100
    production = answers(labels, [0.9] * 100 + [0.1] * 100)
    candidate = answers(labels, [0.3] * lost + [0.9] * (100 - lost) + [0.1] * 100)
    difference = compare("site", candidate, production).sensitivity.difference
    assert difference.value == -lost / 100
    assert difference.low == pytest.approx(-exact, abs=0.012)


def test_different_images_are_refused() -> None:
    one, other = answers([1, 0], [0.9, 0.1]), answers([0, 1], [0.9, 0.1])
    with pytest.raises(ValueError, match="same images in the same order"):
        compare("site", one, other)
    stranger = answers([1, 0], [0.9, 0.1], patients=[5, 6])
    with pytest.raises(ValueError, match="same images in the same order"):
        compare("site", one, stranger)
    with pytest.raises(ValueError, match="received none"):
        compare("site", answers([], []), answers([], []))


def test_scores_that_are_not_numbers_give_no_metric() -> None:
    found = compare("site", answers([1, 0], [float("nan"), 0.1]), answers([1, 0], [0.9, 0.1]))
    assert all(getattr(found, name).difference.value is None for name in FIGURES)


def test_perfect_aurocs_do_not_differ() -> None:
    both = answers([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1]), answers([1, 1, 0, 0], [0.6, 0.7, 0.1, 0])
    difference = compare("site", *both).auroc.difference
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)


@settings(max_examples=40, deadline=None)
@given(both=test_sets())
def test_swapped_versions_negate_the_difference(both: tuple[Answers, Answers]) -> None:
    there = compare("site", *both, draws=200)
    back = compare("site", *reversed(both), draws=200)
    for name in FIGURES:
        one, other = getattr(there, name).difference, getattr(back, name).difference
        if one.value is None:
            assert other.value is None
            continue
        found = other.value, other.low, other.high
        assert found == pytest.approx((-one.value, -one.high, -one.low), abs=1e-12)
