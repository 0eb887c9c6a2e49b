"""Made-up heatmaps and boxes whose scores are known by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.evaluation.heatmaps.boxes import BoxedImage
from pipeline.evaluation.heatmaps.scores import (
    METRICS,
    TOLERANCE,
    BoxedHeatmaps,
    find_unusual,
    hits_by_kind,
    inside_body,
    references,
    score,
    score_heatmaps,
)
from pipeline.types import HeatmapTrust

EVERYWHERE = np.ones((1, 56, 56), np.bool_)


def boxed(*boxes: tuple[float, float, float, float]) -> BoxedImage:
    """Left, top, right, bottom in shares."""
    return BoxedImage(Path("image.png"), np.array(boxes))


def score_of(heatmap: np.ndarray, image: BoxedImage) -> dict[str, float]:
    found = score(np.asarray(heatmap, np.float32)[None], [image], body=EVERYWHERE)
    return {metric: float(values[0]) for metric, values in found.items()}


def quadrants(*levels: float, columns: int = 2) -> np.ndarray:
    """(224, 224), so that nothing is interpolated: row by row, from the upper left."""
    grid = np.reshape(levels, (-1, columns))
    return np.kron(grid, np.ones((224 // len(grid), 224 // columns))).astype(np.float32)


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
    assert [found[name] for name in METRICS[:3]] == pytest.approx(expected)


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
    body = np.repeat(EVERYWHERE, 2, axis=0)
    assert score(guesses["mean_heatmap"], images, body=body)["pointing_game"].tolist() == [0, 0]
    np.testing.assert_allclose(guesses["mean_heatmap"][0], maps[1] / maps[1].sum())
    np.testing.assert_array_equal(guesses["mean_boxes"][0], quadrants(0, 0, 0, 1))
    np.testing.assert_array_equal(guesses["own_boxes"][1], quadrants(0, 0, 0, 1))
    row, column = np.unravel_index(guesses["centre_prior"][1].argmax(), (224, 224))
    assert abs(row - 111.5) < 1
    assert abs(column - 111.5) < 1


def test_peak_outside_body_is_one_in_the_air() -> None:
    pixels = np.zeros((1, 224, 224), np.uint8)
    pixels[:, :, 56:168] = 120  # a body in the middle
    body = inside_body(pixels)
    found = [
        score(quadrants(*levels, columns=4)[None], [boxed((0, 0, 1, 1))], body=body)
        for levels in ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0))
    ]
    assert [float(one["peak_outside_body"][0]) for one in found] == [1, 0, 1, 0]


def columns_of_boxes(*places: int) -> list[BoxedImage]:
    """A box of a seventh of the width in each image, in this column of 7."""
    return [boxed((place / 7, 0, (place + 1) / 7, 1)) for place in places]


def test_images_with_boxes_where_others_have_none_are_reported_apart() -> None:
    """Two in three films have their box in column 1. A map of always column 1 fails elsewhere."""
    images = columns_of_boxes(1, 1, 1, 1, 5, 6)
    always = np.zeros((6, 7, 7), np.float32)
    always[:, :, 1] = 1
    found = score_heatmaps(
        always,
        images,
        network_inputs=np.full((6, 224, 224), 120, np.uint8),
        patients=np.array(list("aabbcd")),
    )
    assert (found["images"], found["patients"], found["boxes"]) == (6, 4, 6)
    assert found["pointing_game"]["value"] == pytest.approx(4 / 6)
    assert found["mean_boxes"]["pointing_game"]["value"] == pytest.approx(4 / 6)
    assert found["peak_outside_body"]["value"] == 0
    apart = found["unusual_places"]
    assert (apart["images"], apart["patients"]) == (2, 2)
    assert apart["pointing_game"]["value"] == 0
    assert apart["own_boxes"]["pointing_game"]["value"] == 1
    assert apart["own_boxes"]["pointing_game_gain"]["value"] == -1


def test_hits_are_counted_by_kind_of_heatmap() -> None:
    scored = {"pointing_game": np.array([1.0, 0.0, 1.0, 0.0])}
    trusts = [HeatmapTrust(1, 1, 1), HeatmapTrust(1, 1, 1), HeatmapTrust(1, 0.1, 1)]
    found = hits_by_kind([*trusts, HeatmapTrust(0, 0, 0)], scored)
    assert found == {
        "none": {"images": 1, "hits": 0},
        "diffuse": {"images": 1, "hits": 1},
        "focal": {"images": 2, "hits": 1},
    }


def test_find_unusual_takes_the_lowest_prior_inside_the_boxes() -> None:
    guesses = references(np.ones((6, 7, 7), np.float32), columns_of_boxes(1, 5, 1, 1, 6, 1))
    unusual = find_unusual(guesses["own_boxes"], guesses["mean_boxes"])
    assert unusual.tolist() == [False, True, False, False, True, False]


def test_intervals_are_over_patients() -> None:
    """One patient's images are drawn together: with a single patient nothing varies."""
    images = columns_of_boxes(1, 5)
    maps = np.zeros((2, 7, 7), np.float32)
    maps[:, :, 1] = 1
    inputs = np.full((2, 224, 224), 120, np.uint8)
    one = score_heatmaps(maps, images, network_inputs=inputs, patients=np.array(["a", "a"]))
    two = score_heatmaps(maps, images, network_inputs=inputs, patients=np.array(["a", "b"]))
    assert one["pointing_game"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert two["pointing_game"] == {"value": 0.5, "low": 0, "high": 1}


def test_collected_heatmaps_are_scored_like_stacked_ones() -> None:
    images, inputs = columns_of_boxes(1, 5), np.full((2, 224, 224), 120, np.uint8)
    maps = np.random.default_rng(0).random((2, 7, 7)).astype(np.float32)
    collected = BoxedHeatmaps()
    for image, heatmap, pixels, patient in zip(images, maps, inputs, "ab", strict=True):
        collected.add(image, heatmap, network_input=pixels, patient=patient)
    assert len(collected) == 2
    expected = score_heatmaps(maps, images, network_inputs=inputs, patients=np.array(["a", "b"]))
    assert collected.scores() == expected
