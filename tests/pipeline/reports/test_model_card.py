"""What the shipped card, which test_version_folder renders whole, does not have."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.heatmaps.boxes import BoxedImage
from pipeline.evaluation.heatmaps.scores import score_heatmaps
from pipeline.evaluation.population_calibration import Calibrations
from pipeline.inference.version_folder import BASELINE, Card, load_card
from pipeline.prevalence import predictive_values
from pipeline.reports.card import describe_images, make_card
from pipeline.reports.model_card import DECISION_THRESHOLDS, render_model_card
from pipeline.text import percent
from pipeline.training.config import TrainingConfig
from pipeline.training.data.mixing import mix
from pipeline.types import Calibration, OperatingPoint, Population
from tests.support.data.versions import APART

CARD = load_card(BASELINE).raw
MIXTURE = mix([str(n) for n in range(20)], np.arange(20) < 5, base_share=0.5, min_base=10)
FROM_SNAPSHOT = {
    **CARD,
    "snapshot": {"id": 3, "digest": "0123abcd"},
    "started_from": {"version": "baseline-2"},
    "mode": "upper blocks",
    "mixture": MIXTURE.as_json(),
    "familiarity": {"snapshot": "0123abcd", "guard": "fitted"},
}


def test_model_card_without_optional_entries() -> None:
    bare = {name: value for name, value in CARD.items() if name != "heatmap_scores"}
    row = CARD["metrics"]["validation"] | {"auroc": {"value": None, "low": None, "high": None}}
    text = render_model_card(bare | {"known_limits": [], "metrics": {"a|b": row}, "population": ""})
    assert "It was not compared with readers' boxes." in text
    assert text.count("\nNot stated.\n") == 2
    assert "| a\\|b | not stated |" in text
    assert "| – |" in text


def test_model_card_reports_boxes_in_unusual_places_apart() -> None:
    images = [BoxedImage(Path("x"), np.array([[0, 0, side, 1]])) for side in (0.5, 0.5, 1)]
    scores = score_heatmaps(
        np.ones((3, 7, 7), np.float32),
        images,
        network_inputs=np.full((3, 224, 224), 120, np.uint8),
        patients=np.arange(3),
    )
    text = render_model_card({**CARD, "heatmap_scores": scores})
    assert "| peak outside the body |" in text
    _, apart = text.split("On the 1 image with boxes where those of the other images are fewest:")
    assert "| the mean of the other images' boxes |" in apart
    assert "peak outside the body" not in render_model_card(CARD)


def test_model_card_describes_a_snapshot_and_its_mixture() -> None:
    text = " ".join(render_model_card(FROM_SNAPSHOT).split())
    assert "Snapshot 3 (`0123abcd`)" in text
    assert "Training started from baseline-2 and trained the head and the upper blocks" in text
    assert "5 images of this site 2.0 times each and 10 imported images, 50 % of the epoch" in text
    assert "fitted to these images" in text
    assert "overread evaluate chest_xray" not in text, "these images are in no folder"


def test_model_card_describes_a_head_on_imagenet_weights() -> None:
    head = {
        "started_from": {"weights": "ImageNet"},
        "mode": "head",
        "familiarity": {"guard": "kept", "from": "baseline-2"},
    }
    text = " ".join(render_model_card(FROM_SNAPSHOT | head).split())
    assert "started from ImageNet weights and trained the head only" in text
    assert "kept from baseline-2" in text


def test_images_are_described_by_counts_and_a_hash_of_any_order() -> None:
    images = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2)
    labels, patients = np.array([0, 1, 1], np.uint8), np.array(["a", "b", "b"])
    found = describe_images(images, labels, patients)
    assert (found["images"], found["patients"], found["pneumonia_images"]) == (3, 2, 2)
    assert describe_images(images[::-1], labels[::-1], patients[::-1]) == found
    assert describe_images(images, 1 - labels, patients)["sha256"] != found["sha256"]


ROW = CARD["metrics"]["validation"]
SMALL = {
    **{"axis": "view", "group": "AP", "n": 12, "patients": 10, "pneumonia_patients": 4},
    **{"normal_patients": 6, "is_small": True, "unfamiliar": {"share": 0.25}},
    **{"auroc": ROW["auroc"], "sensitivity": {"value": None}, "specificity": ROW["specificity"]},
}
POINTS = [
    {"threshold": one, "net_benefit": {"value": 0.25}, "all": 0.125}
    for one in (0.02, *DECISION_THRESHOLDS)
]
NEW = {
    **CARD,
    **APART,
    "subgroups": {"validation": [SMALL]},
    "decision_curves": {"validation": {"prevalence": 0.5, "points": POINTS}, "one class": None},
}


def test_new_card_has_subgroups_decision_curve_and_predictive_values() -> None:
    text = render_model_card(NEW)
    assert re.search(
        r"\| view \| AP \| 12 \| 10 \| 4 \| 0\.998 .* 25 % \| too few patients \|", text
    )
    assert "| validation | 0.250 (0.125) | 0.250 (0.125) |" in text
    assert "one class" not in text
    ppv, npv = predictive_values(
        sensitivity=ROW["sensitivity"]["value"],
        specificity=ROW["specificity"]["value"],
        prevalence=0.05,
    )
    assert ppv is not None
    assert npv is not None
    assert f"| validation | {percent(ppv)}, {percent(npv)} |" in text
    assert "CLAIM (2024 update)" in text


def test_new_card_says_as_whom_each_image_is_read() -> None:
    text = " ".join(render_model_card(NEW).split())
    assert "where none is stated, as a child's, with a warning" in text
    assert "| adults | 2.000 | -8.00 | 0.70 | 0.40 |" in text
    together = {name: value for name, value in NEW.items() if name not in APART} | {"format": 3}
    assert "where none is stated" not in render_model_card(together)


def test_card_states_one_calibration_or_those_of_populations() -> None:
    points: dict[OperatingPoint, float] = {"balanced": 0.5, "sensitive": 0.2}
    child, adult = Calibration(1.1, points), Calibration(2.0, points, -8.0)

    def made(calibrations: Calibrations) -> dict[str, Any]:
        return make_card(
            TrainingConfig().as_json(), data={}, calibrations=calibrations, heatmap_size=(7, 7),
            groups=(), curves={},
        )  # fmt: skip

    one = Card.from_json(made(Calibrations(child, reason="one calibration does")))
    assert (one.calibration, one.populations, one.default_population) == (child, {}, None)
    assert one.raw["calibration"].endswith("for a prevalence of one half; one calibration does")
    apart: dict[Population, Calibration] = {"children": child, "adults": adult}
    two = Card.from_json(made(Calibrations(child, apart)))  # type: ignore[arg-type]
    assert two.populations == apart
    assert (two.calibration, two.default_population) == (adult, "adults")
    assert render_model_card({**one.raw, "learning_curves_file": "a.svg"})
