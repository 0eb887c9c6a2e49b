"""The network input."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.decode.decode import decode
from pipeline.prepare.network_input import DECODED_SIZE, network_input
from pipeline.types import NETWORK_INPUT_SIDE, DecodedImage
from tests.support.data.builders import make_jpeg, make_picture


def image_of(pixels: np.ndarray) -> DecodedImage:
    return DecodedImage(pixels.astype(np.float32), *pixels.shape)


def test_uncompressed_image_gets_the_same_compression(tmp_path: Path) -> None:
    picture = make_picture(224, 224)
    learned = decode(make_jpeg(tmp_path / "x.jpg", picture, quality=75)).pixels * 255
    result = network_input(image_of(picture / 255))
    assert result.shape == (NETWORK_INPUT_SIDE, NETWORK_INPUT_SIDE)
    assert result.dtype == np.uint8
    np.testing.assert_allclose(result, learned, atol=1)


@pytest.mark.parametrize("level", [0.0, 0.2, 0.5, 1.0])
def test_flat_image_stays_flat(level: float) -> None:
    flat = network_input(image_of(np.full((901, 577), level)))
    assert set(np.unique(flat)) == {round(level * 255)}


def test_resize_is_antialiased() -> None:
    """Stripes finer than the target's pixels become grey."""
    stripes = np.tile([0.0, 1.0], 1000)
    result = network_input(image_of(np.tile(stripes, (1000, 1))))
    assert abs(result.astype(int) - 128).max() <= 2


def test_reduced_scale_decoding_changes_the_input_little(tmp_path: Path) -> None:
    path = make_jpeg(tmp_path / "x.jpg", make_picture(2000, 1800))
    whole = network_input(decode(path)).astype(int)
    reduced = network_input(decode(path, minimum_size=DECODED_SIZE)).astype(int)
    assert abs(whole - reduced).mean() < 0.5
    assert abs(whole - reduced).max() <= 3
