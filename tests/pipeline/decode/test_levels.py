"""Ranges of values that files of more than 8 bits do and do not state."""

import io
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.decode import decode_content
from pipeline.decode.levels import grey_levels
from pipeline.deidentify.png_copy import png_copy
from pipeline.errors import RefusedError
from pipeline.types import RangeRule
from tests.support.data.builders import encoded, make_picture, png_chunk, png_with
from tests.support.imaging.tiffs import one_page

REFERENCE = make_picture() / 255
SIXTEEN = (0.0, 65535.0)


def png_stating(bits: int, values: NDArray[Any]) -> bytes:
    return png_with(encoded(values, "PNG"), png_chunk(b"sBIT", bytes([bits])))


@pytest.mark.parametrize(("top", "rule"), [(4095, RangeRule.STATED), (65535, "bits stored")])
def test_significant_bits_of_a_png(top: int, rule: str) -> None:
    """Samples should be scaled to 16 bits (section 11.3.2.4); some writers do not."""
    image = decode_content(png_stating(12, make_picture(top=top)))
    assert (image.range_rule, image.warnings) == (rule, ())
    np.testing.assert_allclose(image.pixels, make_picture(top=top) / top, atol=1e-6)


def test_range_that_is_used_is_shown_with_a_warning() -> None:
    levels = grey_levels(make_picture(top=1023), possible=SIXTEEN)
    assert levels.rule == RangeRule.BITS_USED
    (warning,) = levels.warnings
    assert "0 to 1023" in warning


def test_narrow_values_are_shown_by_percentiles() -> None:
    values = (30000 + 900 * REFERENCE).astype(np.uint16)
    levels = grey_levels(values, possible=SIXTEEN)
    assert levels.rule == RangeRule.PERCENTILES
    assert levels.pixels.min() == 0
    assert levels.pixels.max() > 0.85


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 4000), (-1000, 900), (1e6, 2e6)])
def test_floats_take_a_range_that_holds_them(dtype: Any, low: float, high: float) -> None:
    levels = grey_levels((low + (high - low) * REFERENCE).astype(dtype), possible=None)
    assert np.corrcoef(levels.pixels.ravel(), REFERENCE.ravel())[0, 1] > 0.999
    assert float(np.ptp(levels.pixels)) > 0.45


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_inverted", [False, True])
def test_values_that_are_not_finite_show_black(bad: float, is_inverted: bool) -> None:
    values = REFERENCE.astype(np.float32)
    values[:, :9] = bad
    levels = grey_levels(values, possible=None, is_inverted=is_inverted)
    assert levels.pixels[:, :9].max() == 0
    expected = 1 - REFERENCE if is_inverted else REFERENCE
    np.testing.assert_allclose(levels.pixels[:, 9:], expected[:, 9:], atol=1e-5)
    assert levels.warnings == ("864 pixel values are not finite and show black",)
    values[:, :90] = bad
    with pytest.raises(RefusedError, match="expected finite pixel values"):
        grey_levels(values, possible=None)


def test_large_image_takes_little_more_than_its_levels() -> None:
    """A decoder has 1 GB, and 64 million pixels of 16 bits take half of it as such."""
    values = np.tile(make_picture(500, 500, top=4095), (4, 4))
    tracemalloc.start()
    pixels = grey_levels(values, possible=SIXTEEN).pixels
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < pixels.nbytes + 4_000_000


def images_to_copy() -> dict[str, bytes]:
    wide = make_picture(top=65535)
    unequal = {282: [300, 1], 283: [200, 1]}
    return {
        "8 bits": one_page(make_picture()),
        "8 in 16 bits": one_page(make_picture().astype(np.uint16)),
        "10 in 16 bits": one_page(wide // 64),
        "12 in 16 bits, WhiteIsZero": one_page(wide // 16, photometric=0),
        "dark, stated": one_page(wide // 32, tags={281: 4000}),
        "dark, WhiteIsZero": one_page((0.55 * wide).astype(np.uint16), photometric=0),
        "16 bits": one_page(wide),
        "signed": one_page((wide // 2).astype(np.int16)),
        "negative": one_page((wide / 2 - 16000).astype(np.int16)),
        "narrow": one_page((30000 + wide // 64).astype(np.uint16)),
        "float": one_page(REFERENCE**2),
        "negative floats": one_page(3000 * REFERENCE - 1000),
        "colours": one_page(np.stack([wide, wide // 2, wide // 3], axis=-1)),
        "opacity": one_page(np.stack([wide, wide // 2], axis=-1), tags={338: 2}),
        "opacity, 8 bits": one_page(np.stack([make_picture()] * 2, axis=-1), tags={338: 2}),
        "not square": one_page(wide, tags=unequal),
        "not square, 8 bits": one_page(make_picture(), tags=unequal),
    }


@pytest.mark.parametrize("kind", images_to_copy())
def test_copy_is_read_as_its_source(kind: str) -> None:
    source = decode_content(images_to_copy()[kind])
    copy = decode_content(png_copy(source))
    np.testing.assert_array_equal(copy.pixels, source.pixels)
    assert copy.range_rule == source.range_rule
    assert copy.pixel_aspect == source.pixel_aspect
    assert copy.warnings == ()


def test_copy_is_scaled_to_sixteen_bits() -> None:
    """Other viewers show it as it was read."""
    copy = png_copy(decode_content(one_page(make_picture(top=4095))))
    with Image.open(io.BytesIO(copy)) as image:
        np.testing.assert_allclose(np.asarray(image) / 16.0037, make_picture(top=4095), atol=0.6)


@pytest.mark.parametrize("body", [b"", b"\x0c", b"\x0cJANE DOE", b"\x07bits used", b"\x11stated"])
def test_damaged_range_chunk_is_ignored(body: bytes) -> None:
    picture = make_picture(top=65535)
    image = decode_content(png_with(encoded(picture, "PNG"), png_chunk(b"raNG", body)))
    np.testing.assert_allclose(image.pixels, picture / 65535, atol=1e-6)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_unequal_densities_are_the_pixels_shape(kind: str) -> None:
    content = encoded(make_picture(), kind)
    if kind == "PNG":
        content = png_with(content, png_chunk(b"pHYs", struct.pack(">IIB", 3000, 1500, 0)))
    else:  # JFIF 1.02: unit, then densities across and down
        start = content.index(b"JFIF") + 7
        content = content[:start] + struct.pack(">BHH", 0, 3000, 1500) + content[start + 5 :]
    assert decode_content(content).pixel_aspect == 2.0
