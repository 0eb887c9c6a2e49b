"""What the shipped card, which test_version_folder renders whole, does not have."""

from pathlib import Path

import numpy as np

from pipeline.evaluation.heatmaps.boxes import BoxedImage
from pipeline.evaluation.heatmaps.scores import score_heatmaps
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.reports.card import describe_images
from pipeline.reports.model_card import render_model_card
from pipeline.training.mixing import mix

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
