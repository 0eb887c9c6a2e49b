import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.accuracy.heatmap_score import (
    METRICS,
    TOLERANCE,
    BoxedImage,
    BoxesError,
    read_boxes,
    read_inputs,
    references,
    score,
    score_external,
)
from pipeline.inference.engine import COMPILED_FILE, NETWORK_FILE
from pipeline.inference.version_folder import BASELINE
from tests.support.imaging.networks import phantom_inputs

HEADER = "file,x,y,w,h,image_w,image_h\n"


def boxed(*boxes: tuple[float, float, float, float]) -> BoxedImage:
    """Left, top, right, bottom in shares."""
    return BoxedImage(Path("image.png"), np.array(boxes))


def score_of(heatmap: np.ndarray, image: BoxedImage) -> dict[str, float]:
    found = score(np.asarray(heatmap, np.float32)[None], [image])
    return {metric: float(values[0]) for metric, values in found.items()}


def quadrants(*levels: float) -> np.ndarray:
    """(224, 224), so that nothing is interpolated: upper left, upper right, lower left, right."""
    return np.kron(np.reshape(levels, (2, 2)), np.ones((112, 112)))


@pytest.mark.parametrize(
    ("levels", "box", "expected"),
    [
        ((1, 0, 0, 0), (0, 0, 0.5, 0.5), (1, 1, 1)),
        ((0, 0, 0, 1), (0, 0, 0.25, 0.25), (0, 0, 0)),
        # The map marks the upper half, the box is the left half: they share one quarter of three.
        ((1, 1, 0, 0), (0, 0, 0.5, 1), (1, 1 / 3, 1 / 2)),
        # The IoU counts cells above half the peak.
        ((1, 0.4, 0, 0), (0, 0, 0.5, 0.5), (1, 1, 1 / 1.4)),
        ((0, 0, 0, 0), (0, 0, 1, 1), (0, 0, 0)),
    ],
)
def test_score_by_hand(levels: Any, box: Any, expected: tuple[float, ...]) -> None:
    found = score_of(quadrants(*levels), boxed(box))
    names = ("pointing_game", "mean_iou", "energy_inside")
    assert found == pytest.approx(dict(zip(names, expected, strict=True)))


def test_overlapping_boxes_count_once() -> None:
    image = boxed((0, 0, 0.5, 0.5), (0, 0, 0.25, 0.5))
    assert score_of(quadrants(1, 0, 0, 0), image)["mean_iou"] == 1
    assert image.mask(size=4).sum() == 4


def test_pointing_game_has_a_tolerance() -> None:
    heatmap = np.zeros((224, 224))
    heatmap[112, 112] = 1
    middle = 112.5 / 224
    near, far = middle + TOLERANCE - 0.001, middle + TOLERANCE + 0.001
    assert score_of(heatmap, boxed((near, 0, 1, 1)))["pointing_game"] == 1
    assert score_of(heatmap, boxed((far, 0, 1, 1)))["pointing_game"] == 0


def test_coarse_map_is_scored_as_drawn() -> None:
    heatmap = np.zeros((7, 7))
    heatmap[1, 5] = 1
    cell = boxed((5 / 7, 1 / 7, 6 / 7, 2 / 7))
    assert score_of(heatmap, cell)["pointing_game"] == 1
    assert score_of(heatmap.T, cell)["pointing_game"] == 0
    assert score_of(heatmap, cell)["energy_inside"] > 0.6


def test_references_leave_out_the_image_itself() -> None:
    maps = np.stack([quadrants(1, 0, 0, 0), quadrants(0, 2, 0, 0)]).astype(np.float32)
    images = [boxed((0, 0, 0.25, 0.25)), boxed((0.5, 0.5, 1, 1))]
    guesses = references(maps, images)
    assert score(guesses["mean_heatmap"], images)["pointing_game"].tolist() == [0, 0]
    np.testing.assert_allclose(guesses["mean_heatmap"][0], maps[1] / maps[1].sum())
    np.testing.assert_array_equal(guesses["mean_boxes"][0], quadrants(0, 0, 0, 1))
    np.testing.assert_array_equal(guesses["own_boxes"][1], quadrants(0, 0, 0, 1))
    row, column = np.unravel_index(guesses["centre_prior"][1].argmax(), (224, 224))
    assert abs(row - 111.5) < 1
    assert abs(column - 111.5) < 1


@pytest.fixture
def external(tmp_path: Path) -> Path:
    folder = tmp_path / "external"
    folder.mkdir()
    Image.new("L", (20, 10)).save(folder / "a.png")
    Image.new("L", (20, 10)).save(tmp_path / "b.png")
    return folder


def test_read_boxes_gives_shares_by_image(external: Path) -> None:
    lines = ["external/a.png,2,1,4,2,20,10", "b.png,0,0,20,10,20,10", "a.png,10,5,10,5.4,20,10"]
    (external / "boxes.csv").write_text(HEADER + "\n".join(lines))
    first, second = sorted(read_boxes(external), key=lambda image: image.path.name)
    np.testing.assert_allclose(first.boxes, [[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 1, 1]])
    assert first.path == external / "a.png"
    assert second.path == external.parent / "b.png"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.png,2,1,4,two,20,10", "expected numbers in x, y, w, h, image_w, image_h"),
        ("a.png,2,1,4", "expected numbers"),
        ("a.png,2,1,nan,2,20,10", "expected a box in an image of 20 x 10"),
        ("a.png,2,1,40,2,20,10", "expected a box in an image of 20 x 10"),
        ("a.png,2,1,0,2,20,10", "expected a box"),
        ("c.png,2,1,4,2,20,10", "no such file: c.png"),
    ],
)
def test_read_boxes_names_an_invalid_line(external: Path, line: str, said: str) -> None:
    (external / "boxes.csv").write_text(f"{HEADER}a.png,0,0,1,1,20,10\n{line}\n")
    with pytest.raises(BoxesError, match=r"boxes\.csv, line 3: ") as caught:
        read_boxes(external)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_boxes_refuses_missing_lists_and_columns(external: Path) -> None:
    with pytest.raises(BoxesError, match="found none"):
        read_boxes(external)
    (external / "boxes.csv").write_text(HEADER)
    with pytest.raises(BoxesError, match="expected boxes, found none"):
        read_boxes(external)
    (external / "boxes.csv").write_text("file,x\na.png,1\n")
    with pytest.raises(BoxesError, match="expected a column 'y'"):
        read_boxes(external)


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
        read_inputs(read_boxes(external))
