"""Figures whose answers are known by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.calibration import (
    balanced_weights,
    choose_threshold,
    fit_temperature,
    probability_of,
)
from pipeline.metrics import auroc, measure


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


def test_auroc_of_known_orders() -> None:
    assert auroc(labels(0, 0, 1, 1), np.array([0.1, 0.2, 0.3, 0.4])) == 1
    assert auroc(labels(1, 1, 0, 0), np.array([0.1, 0.2, 0.3, 0.4])) == 0
    assert auroc(labels(0, 1, 0, 1), np.array([0.1, 0.35, 0.4, 0.8])) == 0.75
    assert auroc(labels(0, 1, 1), np.array([0.5, 0.5, 0.9])) == 0.75  # a tie counts half


def test_auroc_wants_both_classes() -> None:
    with pytest.raises(ValueError, match="both classes"):
        auroc(labels(1, 1), np.array([0.1, 0.2]))


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=40).filter(
        lambda pairs: 0 < sum(label for label, _ in pairs) < len(pairs)
    )
)
def test_auroc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, int]]) -> None:
    positive = [score for label, score in pairs if label]
    negative = [score for label, score in pairs if not label]
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    scores = np.array([float(score) for _, score in pairs])
    found = auroc(labels(*(label for label, _ in pairs)), scores)
    assert found == pytest.approx(wins / (len(positive) * len(negative)))


def test_sensitivity_and_specificity_at_the_threshold() -> None:
    found = measure(
        labels(1, 1, 1, 1, 0, 0),
        np.array([0.9, 0.8, 0.5, 0.1, 0.6, 0.2]),
        patients=np.array(["a", "a", "b", "c", "d", "e"]),
        threshold=0.5,
    )
    assert (found.images, found.patients) == (6, 5)
    assert found.sensitivity == 0.75
    assert found.specificity == 0.5
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.auroc_low is not None
    assert found.auroc_low <= found.auroc


def test_the_threshold_keeps_its_floor_and_no_more() -> None:
    truth = labels(*[1] * 20, *[0] * 5)
    probabilities = np.concatenate([np.arange(20) / 20 + 0.03, np.full(5, 0.01)])
    threshold = choose_threshold(truth, probabilities, sensitivity_floor=0.95)
    assert (probabilities[:20] >= threshold).mean() == 0.95
    assert (probabilities[:20] > threshold).mean() < 0.95


def test_the_threshold_is_in_hundredths_and_keeps_its_floor() -> None:
    probabilities = np.array([0.4178, 0.9, 0.1])
    assert choose_threshold(labels(1, 1, 0), probabilities, sensitivity_floor=0.95) == 0.41


def test_temperature_undoes_overconfidence() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, 20_000)
    truth = (random.random(20_000) < probability_of(honest, temperature=1)).astype(np.uint8)
    assert fit_temperature(truth, honest * 3) == pytest.approx(3, rel=0.1)


def test_balanced_weights_make_classes_equal() -> None:
    weights = balanced_weights(labels(1, 1, 1, 0))
    assert weights[:3].sum() == pytest.approx(weights[3:].sum()) == pytest.approx(2)


def test_probability_of_extreme_logits_stays_in_range() -> None:
    found = probability_of(np.array([-1e6, 0, 1e6], np.float32), temperature=1)
    assert found.tolist() == pytest.approx([0, 0.5, 1])
