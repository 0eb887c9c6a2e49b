import numpy as np
import pytest
import sklearn.metrics as sklearn
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.calibration import choose_threshold, fit_temperature
from pipeline.evaluation.curves import precision_recall_curve, roc_curve
from pipeline.evaluation.metrics import (
    auroc,
    auroc_of_draws,
    average_precision,
    brier,
    confusion_matrix,
    expected_calibration_error,
    rates,
)
from pipeline.inference.predictor import probability_of


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


def test_auroc_needs_both_classes() -> None:
    with pytest.raises(ValueError, match="both classes"):
        auroc(labels(1, 1), np.array([0.1, 0.2]))


SCORED = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=40
)


@settings(deadline=None, max_examples=40)
@given(SCORED)
def test_metrics_equal_scikit_learn(rows: list[tuple[int, int, int]]) -> None:
    """Ties, one class only, and weights included."""
    y_true, levels, weight = (np.array(column) for column in zip(*rows, strict=True))
    y_true, probabilities = y_true.astype(np.uint8), levels / 20
    weight = weight.astype(np.float64)
    if not weight.sum():
        weight += 1
    y_pred = probabilities >= 0.5
    counts = confusion_matrix(y_true, y_pred, weights=weight[None])
    found = {name: values[0] for name, values in rates(counts).items()}
    options = {"sample_weight": weight, "zero_division": np.nan}
    expected = {
        "accuracy": sklearn.accuracy_score(y_true, y_pred, sample_weight=weight),
        "sensitivity": sklearn.recall_score(y_true, y_pred, **options),
        "specificity": sklearn.recall_score(y_true, y_pred, pos_label=0, **options),
        "precision": sklearn.precision_score(y_true, y_pred, **options),
        "f1": sklearn.f1_score(y_true, y_pred, **options),
    }
    assert found == pytest.approx(expected, nan_ok=True)
    (error,) = brier(y_true, probabilities, weights=weight[None])
    assert error == pytest.approx(np.average((probabilities - y_true) ** 2, weights=weight))
    ranked = [
        auroc_of_draws(y_true, probabilities, weights=weight[None])[0],
        average_precision(y_true, probabilities, weights=weight[None])[0],
    ]
    if len(np.unique(y_true[weight > 0])) < 2:
        assert np.isnan(ranked).all()
    else:
        judged = {"y_true": y_true, "y_score": probabilities, "sample_weight": weight}
        references = [sklearn.roc_auc_score(**judged), sklearn.average_precision_score(**judged)]
        assert ranked == pytest.approx(references)


def test_curves_equal_scikit_learn() -> None:
    random = np.random.default_rng(0)
    y_true = (random.random(300) < 0.4).astype(np.uint8)
    scores = np.round(np.clip(random.normal(0.3 + 0.3 * y_true, 0.2), 0, 1), 2).astype(np.float64)
    expected = sklearn.roc_curve(y_true, scores, drop_intermediate=False)
    for ours, theirs in zip(roc_curve(y_true, scores), expected, strict=False):
        np.testing.assert_allclose(ours, theirs)
    precision, recall, _ = sklearn.precision_recall_curve(y_true, scores)
    found_precision, found_recall = precision_recall_curve(y_true, scores)
    # scikit-learn's curve starts with an invented point.
    np.testing.assert_allclose(found_precision, precision[-2::-1])
    np.testing.assert_allclose(found_recall, recall[-2::-1])


def test_calibration_error_by_hand() -> None:
    """Three in the lowest bin, one of them positive; one in the highest, negative."""
    y_true = labels(1, 0, 0, 0)
    probabilities = np.array([0.05, 0.05, 0.05, 1.0])
    (found,) = expected_calibration_error(y_true, probabilities, weights=np.ones((1, 4)))
    assert found == pytest.approx(3 / 4 * (1 / 3 - 0.05) + 1 / 4 * 1)


def test_threshold_is_the_highest_with_its_floor() -> None:
    y_true = labels(*[1] * 20, *[0] * 5)
    probabilities = np.concatenate([np.arange(20) / 20 + 0.03, np.full(5, 0.01)])
    threshold = choose_threshold(y_true, probabilities, sensitivity_floor=0.95)
    assert (probabilities[:20] >= threshold).mean() == 0.95
    assert (probabilities[:20] > threshold).mean() < 0.95
    in_hundredths = choose_threshold(
        labels(1, 1, 0), np.array([0.4178, 0.9, 0.1]), sensitivity_floor=0.95
    )
    assert in_hundredths == 0.41


def test_temperature_undoes_overconfidence() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, 20_000)
    y_true = (random.random(20_000) < probability_of(honest, temperature=1)).astype(np.uint8)
    assert fit_temperature(y_true, honest * 3) == pytest.approx(3, rel=0.1)


def test_probability_of_extreme_logits_stays_in_range() -> None:
    found = probability_of(np.array([-1e6, 0, 1e6], np.float32), temperature=1)
    assert found.tolist() == pytest.approx([0, 0.5, 1])
