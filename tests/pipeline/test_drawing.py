import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.drawing import display_levels, display_png, heatmap_png, overlay_png
from pipeline.types import HEATMAP_FULL_SCALE, DecodedImage
from tests.support.data.builders import make_picture

PICTURE = make_picture(300, 400)
IMAGE = DecodedImage((PICTURE / 255).astype(np.float32), 300, 400)
LEVELS = display_levels(IMAGE)


def opened(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGBA") if image.mode == "P" else image)


def test_display_png_keeps_pixels_and_aspect_within_its_bound() -> None:
    np.testing.assert_array_equal(opened(display_png(LEVELS)), PICTURE)
    assert display_levels(IMAGE, max_side=200).shape == (150, 200)


@pytest.mark.parametrize(
    ("pixel_aspect", "max_side", "shape"),
    [
        (2.0, 1600, (600, 400)),
        (0.5, 1600, (300, 800)),
        (0.25, 800, (150, 800)),
        (4.0, 600, (600, 200)),
    ],
)
def test_display_has_the_true_proportions(
    pixel_aspect: float, max_side: int, shape: tuple[int, int]
) -> None:
    image = replace(IMAGE, pixel_aspect=pixel_aspect)
    levels = display_levels(image, max_side=max_side)
    assert levels.shape == shape
    small = [np.asarray(Image.fromarray(one).resize((8, 6))) for one in (levels, PICTURE)]
    np.testing.assert_allclose(small[0].astype(int), small[1].astype(int), atol=12)


@pytest.mark.parametrize("peak", [HEATMAP_FULL_SCALE, 3 * HEATMAP_FULL_SCALE])
def test_heatmap_png_is_transparent_at_zero_and_opaque_from_its_full_scale(peak: float) -> None:
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[1, 5] = peak
    drawn = opened(heatmap_png(heatmap, size=(400, 300)))
    assert drawn.shape == (300, 400, 4)
    alpha = drawn[..., 3]
    row, column = np.argwhere(alpha == alpha.max()).mean(axis=0)
    # The middle of cell (1, 5) of seven.
    assert abs(row - 1.5 / 7 * 300) < 12
    assert abs(column - 5.5 / 7 * 400) < 12
    assert alpha.max() > 230
    assert (alpha[150:] == 0).all()


def test_heatmaps_of_two_images_have_one_scale() -> None:
    """So that a trace, which every image has somewhere, is not drawn as strong as a finding."""
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[3, 3] = 1
    trace, faint, weak, strong = (
        opened(heatmap_png(share * heatmap, size=(70, 70))).reshape(-1, 4).max(axis=0)
        for share in (0.03, 0.1, 0.3, 1)
    )
    assert trace[3] == 0
    assert 0 < faint[3] < 0.2 * 255
    assert faint[3] < weak[3] < strong[3]
    assert faint[0] < weak[0] < strong[0]  # red grows with lightness


@pytest.mark.parametrize("orientation", range(8))
def test_pictures_of_images_stored_in_any_orientation_are_upright(orientation: int) -> None:
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[1, 5] = 1
    levels = LEVELS if orientation < 4 else 255 - LEVELS
    turned, hot = np.rot90(levels, orientation % 4), np.rot90(heatmap, orientation % 4)
    assert display_png(turned, orientation=orientation) == display_png(LEVELS)
    overlay = overlay_png(turned, hot, orientation=orientation)
    assert overlay == overlay_png(LEVELS, heatmap)
    size = (400, 300)
    upright = heatmap_png(hot, size=size, orientation=orientation)
    assert upright == heatmap_png(heatmap, size=size)


def test_heatmap_lightness_grows_with_strength() -> None:
    """Lightness (BT.601) grows with strength all along the scale."""
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(2, axis=0)
    drawn = opened(heatmap_png(ramp, size=(64, 2)))[0].astype(float)
    lightness = drawn[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > 0).all()
    assert (np.diff(drawn[:, 3]) >= 0).all()


def test_overlay_keeps_pixels_without_activation() -> None:
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[1, 5] = 1
    drawn = opened(overlay_png(LEVELS, heatmap, opacity=0.5))
    assert drawn.shape == (300, 400, 3)
    np.testing.assert_array_equal(drawn[200:], np.dstack([PICTURE] * 3)[200:])
    assert np.ptp(drawn[64, 314].astype(int)) > 20


@pytest.mark.parametrize("bad", [np.zeros((7, 7)), np.full((7, 7), np.nan)])
def test_empty_heatmap_draws_nothing(bad: np.ndarray) -> None:
    assert opened(heatmap_png(bad, size=(40, 30)))[..., 3].max() == 0
    np.testing.assert_array_equal(opened(overlay_png(LEVELS, bad))[..., 0], PICTURE)
