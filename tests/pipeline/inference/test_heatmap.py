"""Three numbers whose answers are known by hand, and the sentence for each case."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.inference.heatmap import (
    FAINT,
    LEAST_MEASURED,
    MUCH,
    NARROW,
    SOME,
    WIDE,
    describe_trust,
    measure_trust,
)
from pipeline.types import HeatmapTrust

FOCAL = "Focal activation (about 5 % of the image)."


def image(*, side: int = 64) -> np.ndarray:
    """A body of level 120 with two black lungs, and black air in the outer eighth on each side."""
    pixels = np.zeros((1, side, side), np.uint8)
    eighth = side // 8
    pixels[:, :, eighth:-eighth] = 120
    pixels[:, 2 * eighth : -2 * eighth, 2 * eighth : 3 * eighth] = 0
    pixels[:, 2 * eighth : -2 * eighth, -3 * eighth : -2 * eighth] = 0
    return pixels


def trust_of(heatmap: np.ndarray, pixels: np.ndarray | None = None) -> HeatmapTrust:
    maps = np.asarray(heatmap, np.float32)[None]
    return measure_trust(maps, image() if pixels is None else pixels)[0]


def one_cell(row: int, column: int, *, side: int = 8) -> np.ndarray:
    heatmap = np.zeros((side, side), np.float32)
    heatmap[row, column] = 3
    return heatmap


def test_one_cell_is_all_concentration() -> None:
    assert trust_of(one_cell(4, 4)) == HeatmapTrust(peak=3, concentration=1, inside_body=1)


def test_an_even_heatmap_has_no_concentration_and_lies_where_the_body_is() -> None:
    found = trust_of(np.ones((8, 8)))
    assert found.concentration == pytest.approx(0, abs=1e-6)
    assert found.inside_body == pytest.approx(6 / 8)


@pytest.mark.parametrize("side", [4, 8])
def test_concentration_is_what_is_left_free_on_any_grid(side: int) -> None:
    heatmap = np.zeros((side, side))
    heatmap[:, : side // 2] = 1  # half the cells
    cells = side**2
    assert trust_of(heatmap).concentration == pytest.approx(cells / 2 / (cells - 1))


def test_inside_body_counts_dark_lung_but_not_air() -> None:
    assert trust_of(one_cell(4, 2)).inside_body == 1
    assert trust_of(one_cell(4, 0)).inside_body == 0


def test_inside_body_excludes_grey_air_and_markers() -> None:
    pixels = np.maximum(image(), 30)
    pixels[0, 10:14, 0:4] = 255  # two cells above
    assert trust_of(one_cell(4, 0), pixels).inside_body == 0


def test_image_size_need_not_be_a_multiple_of_the_grid() -> None:
    pixels = np.full((1, 224, 100), 90, np.uint8)
    assert trust_of(np.ones((7, 9)), pixels).inside_body == pytest.approx(1)


def test_empty_heatmap_and_empty_batch() -> None:
    assert trust_of(np.zeros((7, 7))) == HeatmapTrust(peak=0, concentration=0, inside_body=0)
    nothing = np.zeros((0, 7, 7), np.float32)
    assert measure_trust(nothing, np.zeros((0, 224, 224), np.uint8)) == []


def test_batch_equals_single_images() -> None:
    maps = np.stack([one_cell(4, 4), np.ones((8, 8), np.float32)])
    both = measure_trust(maps, np.concatenate([image(), image()]))
    assert both == [trust_of(maps[0]), trust_of(maps[1])]


@given(
    arrays(np.float32, (2, 7, 7), elements=st.floats(0, 1000, width=32)),
    arrays(np.uint8, (2, 28, 28)),
)
def test_measures_stay_in_range(heatmaps: np.ndarray, pixels: np.ndarray) -> None:
    for found in measure_trust(heatmaps, pixels):
        assert found.peak >= 0
        assert 0 <= found.concentration <= 1
        assert 0 <= found.inside_body <= 1
        assert describe_trust(**vars(found)).endswith(".")


@pytest.mark.parametrize(
    ("peak", "concentration", "inside_body", "sentence"),
    [
        (0, 0, 0, "No activation."),
        (FAINT / 2, 0.9, 1, "Negligible activation."),
        (1, 0.9, 0.6, "40 % of the activation outside the body; not reliable."),
        (1, 0.1, 1, "Diffuse activation (about 90 % of the image); not localising."),
        (1, 0.6, 1, "Regional activation (about 40 % of the image)."),
        (1, 0.88, 1, "Focal activation (about 10 % of the image)."),
        (1, 1, 1, FOCAL),
        (1, WIDE, 1, "Regional activation (about 60 % of the image)."),
        (1, NARROW, 1, "Focal activation (about 25 % of the image)."),
        (1, 1, 1 - SOME + 1e-9, FOCAL),
        (1, 1, 1 - MUCH - 1e-9, "33 % of the activation outside the body; not reliable."),
        (1, 1, 1 - SOME - 1e-9, f"{FOCAL} 20 % of the activation outside the body."),
        (1, 1, 1 - MUCH + 1e-9, f"{FOCAL} 33 % of the activation outside the body."),
    ],
)
def test_describe_trust(
    peak: float, concentration: float, inside_body: float, sentence: str
) -> None:
    found = describe_trust(peak=peak, concentration=concentration, inside_body=inside_body)
    assert found == sentence


@pytest.mark.parametrize(
    ("inside_body", "measured", "sentence"),
    [
        (1, {"focal": (40, 21)}, f"{FOCAL} In 21 of 40 such heatmaps the peak lay where readers"),
        (1, {"focal": (LEAST_MEASURED - 1, 3)}, FOCAL),
        (1, {"diffuse": (40, 21)}, FOCAL),
        (0.5, {"outside": (12, 0)}, "50 % of the activation outside the body; not reliable. In 0"),
    ],
)
def test_describe_trust_states_how_often_such_heatmaps_pointed_at_pneumonia(
    inside_body: float, measured: dict[str, tuple[int, int]], sentence: str
) -> None:
    kinds = {kind: {"images": n, "hits": hits} for kind, (n, hits) in measured.items()}
    found = describe_trust(peak=1, concentration=1, inside_body=inside_body, kinds=kinds)
    assert found.startswith(sentence)
    assert (" In " in found) == (" In " in sentence)
