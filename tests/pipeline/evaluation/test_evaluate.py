from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.metrics import AT_THRESHOLD, OVERALL
from tests.support.imaging.scores import card_at, make_scores

KEYS = [
    "n", "patients", "prevalence", "auroc", "average_precision", "brier", "ece", "accuracy",
    "sensitivity", "specificity", "precision", "f1", "confusion_matrix", "threshold",
    "temperature", "operating_point", "model_version", "unfamiliar", "operating_points",
]  # fmt: skip
COUNTS = ["true_positives", "false_negatives", "false_positives", "true_negatives"]


AT = card_at(0.5, sensitive=0.15)
CARD = replace(AT, calibration=replace(AT.calibration, temperature=1.5))


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    probabilities = [0.9, 0.8, 0.5, 0.1, 0.6, 0.2]
    scores = make_scores([1, 1, 1, 1, 0, 0], probabilities, patients=[1, 1, 2, 3, 4, 5])
    return evaluate(scores, card=CARD)


def test_metrics_computed_by_hand(found: dict[str, Any]) -> None:
    assert (found["n"], found["patients"], found["unfamiliar"]["count"]) == (6, 5, 0)
    figures = {name: found[name] for name in (*OVERALL, *AT_THRESHOLD)}
    assert {name: figure["value"] for name, figure in figures.items()} == pytest.approx(
        {
            "prevalence": 4 / 6,
            "auroc": 5 / 8,
            "average_precision": (1 + 1 + 3 / 4 + 4 / 6) / 4,
            "brier": (0.01 + 0.04 + 0.25 + 0.81 + 0.36 + 0.04) / 6,
            "ece": (0.1 + 0.2 + 0.5 + 0.9 + 0.6 + 0.2) / 6,
            "accuracy": 4 / 6,
            "sensitivity": 3 / 4,
            "specificity": 1 / 2,
            "precision": 3 / 4,
            "f1": 3 / 4,
        },
        abs=1e-6,
    )
    for figure in figures.values():
        assert figure["low"] <= figure["value"] <= figure["high"]


def test_probability_at_the_threshold_is_positive(found: dict[str, Any]) -> None:
    counts = found["operating_points"]["balanced"]["confusion_matrix"]
    assert counts == dict(zip(COUNTS, [3, 1, 1, 1], strict=True))


def test_json_keys_are_stable(found: dict[str, Any]) -> None:
    assert list(found) == KEYS
    assert list(found["confusion_matrix"]) == COUNTS
    assert found["auroc"].keys() == {"value", "low", "high"}
    assert (found["operating_point"], found["temperature"]) == ("balanced", 1.5)
    balanced, sensitive = found["operating_points"].values()
    assert balanced.items() <= found.items()
    assert sensitive["specificity"]["value"] == 0


def test_the_operating_point_in_use_is_on_top() -> None:
    found = evaluate(make_scores([1, 0], [0.3, 0.1]), card=CARD.at("sensitive"))
    assert (found["threshold"], found["sensitivity"]["value"]) == (0.15, 1)
    assert found["operating_points"]["balanced"]["sensitivity"]["value"] == 0


@pytest.mark.parametrize(("label", "missing"), [(0, "sensitivity"), (1, "specificity")])
def test_one_class_alone_has_no_auroc(label: int, missing: str) -> None:
    found = evaluate(make_scores([label, label], [0.9, 0.2]), card=CARD)
    for name in ("auroc", "average_precision", missing):
        assert found[name] == {"value": None, "low": None, "high": None}
    assert found["accuracy"]["value"] == 0.5
    assert found["brier"]["value"] is not None


def test_unfamiliar_images_are_counted_and_included() -> None:
    rows = make_scores([1, 0], [0.9, 0.8])
    unfamiliar = replace(rows, unfamiliarities=np.array([0.2, 0.9]))
    found = evaluate(unfamiliar, card=CARD)
    assert found["unfamiliar"] == {"count": 1, "share": 0.5, "low": 0, "high": 1}
    assert found["n"] == 2


def test_order_of_images_does_not_matter() -> None:
    random = np.random.default_rng(0)
    labels, patients = [int(n % 3 > 0) for n in range(60)], [n // 2 for n in range(60)]
    rows = labels, list(random.random(60)), patients
    one, other = (
        evaluate(make_scores(labels, probabilities, patients=patients), card=CARD)
        for labels, probabilities, patients in (rows, [column[::-1] for column in rows])
    )
    assert one == other


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        evaluate(make_scores([], []), card=CARD)


def test_populations_are_judged_at_their_own_thresholds() -> None:
    """The same probability is pneumonia in a child, and not in an adult."""
    child = CARD.calibration
    adult = replace(child, thresholds={"balanced": 0.8, "sensitive": 0.7})
    card = replace(CARD, populations={"children": child, "adults": adult})
    rows = make_scores([1, 1, 1], [0.6, 0.6, 0.6])
    scores = replace(rows, populations=np.array([0, 1, 2], np.uint8))
    found = evaluate(scores, card=card)
    assert found["confusion_matrix"]["true_positives"] == 2
    assert found["thresholds"] == {"children": 0.5, "adults": 0.8}
    assert found["operating_points"]["sensitive"]["confusion_matrix"]["true_positives"] == 2
    assert "thresholds" not in evaluate(scores, card=CARD)
