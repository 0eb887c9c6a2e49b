import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.accuracy.heatmap_score import read_inputs, score_external
from pipeline.evaluation.heatmaps.boxes import BoxesError, read_boxes
from pipeline.evaluation.heatmaps.scores import METRICS
from pipeline.inference.engine import COMPILED_FILE, NETWORK_FILE
from pipeline.inference.version_folder import BASELINE
from tests.support.imaging.networks import phantom_inputs

HEADER = "file,x,y,w,h,image_w,image_h\n"


@pytest.fixture
def external(tmp_path: Path) -> Path:
    folder = tmp_path / "external"
    folder.mkdir()
    Image.new("L", (20, 10)).save(folder / "a.png")
    Image.new("L", (20, 10)).save(tmp_path / "b.png")
    return folder


@pytest.mark.tensorflow
def test_score_external_without_a_card(external: Path, tmp_path: Path) -> None:
    """A version that has no card yet, as when it is about to be shipped."""
    version = tmp_path / "version"
    version.mkdir()
    for name in (NETWORK_FILE, COMPILED_FILE, "network.bin"):
        (version / name).symlink_to(BASELINE / name)
    lines = []
    for n, pixels in enumerate(phantom_inputs(count=3)):
        Image.fromarray(pixels).save(external / f"{n}.png")
        lines.append(f"{n}.png,20,60,80,90,224,224")
    (external / "boxes.csv").write_text(HEADER + "\n".join(lines))
    found = json.loads(json.dumps(score_external(version, external, draws=1)))
    assert (found["images"], found["boxes"]) == (3, 3)
    for row in (found, found["centre_prior"], found["mean_heatmap"], found["mean_boxes"]):
        for metric in METRICS:
            assert 0 <= row[metric]["low"] <= row[metric]["value"] <= row[metric]["high"] <= 1
    difference = found["mean_iou"]["value"] - found["centre_prior"]["mean_iou"]["value"]
    assert found["centre_prior"]["mean_iou_gain"]["value"] == pytest.approx(difference, abs=1e-5)
    # All images have the same box, so those of the others are as good as its own.
    assert found["mean_boxes"] == found["own_boxes"]
    assert found["own_boxes"]["mean_iou"]["value"] > 0.6
    assert [row["layers"] for row in found["randomisation"]][-1] == "all"


def test_unreadable_image_is_named(external: Path) -> None:
    (external / "a.png").write_text("no image")
    (external / "boxes.csv").write_text(HEADER + "a.png,0,0,1,1,20,10")
    with pytest.raises(BoxesError, match=r"^a\.png: "):
        read_inputs(read_boxes(external / "boxes.csv"))
