import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.evaluation.evaluate import Scores, evaluate
from pipeline.inference.version_folder import Card
from pipeline.reports.card import describe_images, make_card
from pipeline.reports.model_card import render_model_card
from pipeline.types import OperatingPoint
from tests.support.imaging.networks import TOY
from tests.support.imaging.scores import make_scores

THRESHOLDS: dict[OperatingPoint, float] = {"balanced": 0.37, "sensitive": 0.12}
INTERVAL = {"value": 0.4321, "low": 0.4, "high": 0.45}


def data(count: int) -> dict[str, Any]:
    labels = (np.arange(count) % 2).astype(np.uint8)
    patients = np.array([f"patient {n // 2}" for n in range(count)])
    return describe_images(np.zeros((count, 8, 8), np.uint8), labels, patients)


def scores(count: int) -> Scores:
    random = np.random.default_rng(count)
    labels = (np.arange(count) % 2).astype(np.uint8)
    probabilities = np.clip(random.normal(0.2 + 0.4 * labels, 0.2), 0, 1)
    return make_scores(labels.tolist(), probabilities.tolist())


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    config = replace(TOY, known_limits=("It is a toy.",), population="Phantoms, made up.")
    made = make_card(
        config.as_json(),
        data={"train": data(20), "validation": data(10)},
        temperature=1.25,
        thresholds=THRESHOLDS,
        heatmap_size=(7, 7),
        groups=(),
        curves={},
    )
    version = Card.from_json(made)
    made["metrics"] = {
        "validation": evaluate(scores(60), card=version),
        "adults": evaluate(scores(40), card=version),
    }
    return json.loads(json.dumps(made))


def test_model_card_shows_every_metric_with_its_interval(card: dict[str, Any]) -> None:
    text = render_model_card(card)
    for row in card["metrics"].values():
        points = row["operating_points"]
        figures = [row["auroc"], row["average_precision"], row["brier"], row["ece"]]
        figures += [point[name] for point in points.values() for name in ("sensitivity", "f1")]
        for figure in figures:
            words = f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
            assert words in text
    assert "**Balanced**, threshold 0.37" in text
    assert "**Sensitive**, threshold 0.12" in text
    assert "temperature 1.250" in text


def test_model_card_has_all_sections(card: dict[str, Any]) -> None:
    text = render_model_card(card)
    for heading in (
        "Intended use", "Out of scope", "Training data", "Configuration", "Performance",
        "Calibration", "Adults", "Images without a finding", "Known limits", "Heatmap",
        "Learning curves",
    ):  # fmt: skip
        assert heading in text
    for words in ("Research use only", "It is a toy.", "Phantoms, made up.", "`split_key`"):
        assert words in text
    assert "{" not in text
    assert "![learning curves](learning_curves.svg)" in text


def test_model_card_has_a_command_for_each_row(card: dict[str, Any]) -> None:
    command = "overread evaluate adults.csv --patient-column who"
    text = render_model_card(card | {"commands": {"adults": command}})
    assert "| validation | `overread evaluate chest_xray --split validation` |" in text
    assert f"| adults | `{command}` |" in text


def test_model_card_shows_heatmap_scores(card: dict[str, Any]) -> None:
    one = dict.fromkeys(("pointing_game", "mean_iou", "energy_inside"), INTERVAL)
    prior = one | {"mean_iou_gain": {"value": -0.1, "low": -0.2, "high": 0.1}}
    layer = {"layers": "head", "correlation": 0.25, "low": 0.2, "high": 0.3, "empty": 0.5}
    found = {"images": 17, **one, "centre_prior": prior, "randomisation": [layer]}
    text = render_model_card(card | {"heatmap_scores": found})
    assert "not compared" in render_model_card(card)
    assert "on 17 images" in text
    assert "| a spot in the centre of every image | 0.432 (0.400 to 0.450)" in text
    assert "| -0.100 (-0.200 to 0.100) |" in text
    assert "| head | 0.250 (0.200 to 0.300) | 50 % |" in text


def test_model_card_shows_missing_metrics_as_dashes(card: dict[str, Any]) -> None:
    nothing = {"value": None, "low": None, "high": None}
    row = card["metrics"]["adults"] | {"auroc": nothing}
    assert "| – |" in render_model_card(card | {"metrics": {"adults": row}})


def test_model_card_describes_a_snapshot_and_its_mixture(card: dict[str, Any]) -> None:
    from pipeline.training.mixing import mix

    places = mix([str(n) for n in range(20)], np.arange(20) < 5, base_share=0.5, min_base=10)
    text = render_model_card(
        card
        | {
            "snapshot": {"id": 3, "digest": "0123abcd"},
            "started_from": {"version": "baseline-2"},
            "mode": "upper blocks",
            "mixture": places.as_json(),
            "familiarity": {"snapshot": "0123abcd", "guard": "fitted"},
        }
    )
    words = " ".join(text.split())
    assert "Snapshot 3 (`0123abcd`)" in words
    assert "Training started from baseline-2 and trained the head and the upper blocks" in words
    assert "5 images of this site 2.0 times each and 10 imported images, 50 % of the epoch" in words
    assert "fitted to these images" in words
    assert "overread evaluate chest_xray" not in words, "these images are in no folder"

    weights = {"weights": "ImageNet", "sha256": "0"}
    snapshot = {"id": 3, "digest": "0123abcd"}
    rendered = render_model_card(
        card
        | {
            "snapshot": snapshot,
            "started_from": weights,
            "mode": "head",
            "mixture": places.as_json(),
            "familiarity": {"guard": "kept", "from": "baseline-2"},
        }
    )
    assert "started from\nImageNet weights and trained\nthe head only" in rendered
    assert "kept from baseline-2" in rendered
