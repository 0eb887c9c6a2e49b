from dataclasses import replace

import numpy as np
import pytest

from pipeline.evaluation.evaluate import Evaluation, Scores, evaluate
from pipeline.inference.version_folder import BASELINE, Card, load_card
from pipeline.types import OperatingPoint

KEYS = [
    "n", "patients", "prevalence", "auroc", "average_precision", "brier", "ece", "accuracy",
    "sensitivity", "specificity", "precision", "f1", "confusion_matrix", "threshold",
    "temperature", "operating_point", "model_version", "unfamiliar", "operating_points",
]  # fmt: skip
COUNTS = ["true_positives", "false_negatives", "false_positives", "true_negatives"]


def card() -> Card:
    thresholds: dict[OperatingPoint, float] = {"balanced": 0.5, "sensitive": 0.15}
    return replace(load_card(BASELINE), thresholds=thresholds, temperature=1.5)


def scores(*rows: tuple[int, float, int]) -> Scores:
    """Label, probability and patient of each."""
    labels, probabilities, patients = zip(*rows, strict=True)
    return Scores(
        np.array(labels, np.uint8),
        np.array(probabilities),
        np.full(len(rows), 0.1),
        np.array(patients, np.uint64),
    )


@pytest.fixture(scope="module")
def found() -> Evaluation:
    rows = [(1, 0.9, 1), (1, 0.8, 1), (1, 0.5, 2), (1, 0.1, 3), (0, 0.6, 4), (0, 0.2, 5)]
    return evaluate(scores(*rows), card=card())


def test_metrics_computed_by_hand(found: Evaluation) -> None:
    assert (found.n, found.patients, found.unfamiliar) == (6, 5, 0)
    figures = {**found.figures, **found.chosen.figures}
    assert {name: figure.value for name, figure in figures.items()} == pytest.approx(
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
        }
    )
    for figure in figures.values():
        assert figure.low <= figure.value <= figure.high


def test_probability_at_the_threshold_is_positive(found: Evaluation) -> None:
    counts = found.operating_points["balanced"].confusion_matrix
    assert dict(counts) == dict(zip(COUNTS, [3, 1, 1, 1], strict=True))


def test_json_keys_are_stable(found: Evaluation) -> None:
    json = found.as_json()
    assert list(json) == KEYS
    assert list(json["confusion_matrix"]) == COUNTS
    assert json["auroc"].keys() == {"value", "low", "high"}
    assert (json["n"], json["operating_point"], json["temperature"]) == (6, "balanced", 1.5)
    assert json["operating_points"].keys() == {"balanced", "sensitive"}
    balanced = json["operating_points"]["balanced"]
    assert balanced.items() <= json.items()
    assert json["operating_points"]["sensitive"]["specificity"]["value"] == 0


def test_json_shows_the_chosen_operating_point_on_top() -> None:
    found = evaluate(scores((1, 0.3, 1), (0, 0.1, 2)), card=card(), operating_point="sensitive")
    json = found.as_json()
    assert (json["threshold"], json["sensitivity"]["value"]) == (0.15, 1)
    assert json["operating_points"]["balanced"]["sensitivity"]["value"] == 0


@pytest.mark.parametrize(("label", "missing"), [(0, "sensitivity"), (1, "specificity")])
def test_one_class_alone_has_no_auroc(label: int, missing: str) -> None:
    json = evaluate(scores((label, 0.9, 1), (label, 0.2, 2)), card=card()).as_json()
    for name in ("auroc", "average_precision", missing):
        assert json[name] == {"value": None, "low": None, "high": None}
    assert json["accuracy"]["value"] == 0.5
    assert json["brier"]["value"] is not None


def test_unfamiliar_images_are_counted_and_included() -> None:
    rows = scores((1, 0.9, 1), (0, 0.8, 2))
    unfamiliar = replace(rows, unfamiliarities=np.array([0.2, 0.9]))
    json = evaluate(unfamiliar, card=card()).as_json()
    assert json["unfamiliar"] == {"count": 1, "share": 0.5}
    assert json["n"] == 2


def test_order_of_images_does_not_matter() -> None:
    random = np.random.default_rng(0)
    rows = [(int(n % 3 > 0), float(random.random()), n // 2) for n in range(60)]
    one, other = (evaluate(part, card=card()) for part in (scores(*rows), scores(*rows[::-1])))
    assert one.as_json() == other.as_json()


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        evaluate(scores((1, 0.9, 1)).where(np.array([False])), card=card())
