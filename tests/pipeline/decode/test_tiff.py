"""TIFF: samples in every layout, and the page that stands for the film."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.decode import decode_content
from pipeline.decode.samples import read_samples
from pipeline.decode.tiff import find_film
from pipeline.errors import RefusalCode, RefusedError
from pipeline.limits import Limits
from pipeline.types import RangeRule
from tests.support.data.builders import encoded, make_picture
from tests.support.imaging.tiffs import make_tiff, one_page

IMAGE = make_picture()
REFERENCE = IMAGE / 255
THUMBNAIL = make_picture(48, 64)
LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {},
    "big endian": {"order": ">"},
    "deflate": {"is_deflated": True},
    "predictor": {"is_deflated": True, "has_predictor": True},
    "predictor, big endian, tiles": {
        **{"is_deflated": True, "has_predictor": True, "order": ">", "tile": 48},
    },
    "planes": {"is_planar": True},
    "planes, predictor, tiles": {
        **{"is_planar": True, "is_deflated": True, "has_predictor": True, "tile": 32},
    },
}


def values_of(dtype: str) -> NDArray[Any]:
    """Return (96, 128, 3) values over a large part of the type's range, negative ones too."""
    kind, size = dtype[0], int(dtype[1])
    greatest = {"f": 1000.0, "u": 2.0 ** (8 * size) - 1, "i": 2.0 ** (8 * size - 1) - 1}[kind]
    low = 0.0 if kind == "u" else -greatest
    values = low + (greatest - low) * 0.9 * REFERENCE
    return np.stack([values, values / 2, values / 4], axis=-1).astype(dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_samples_are_read_as_stored(dtype: str, layout: str) -> None:
    for values in (values_of(dtype), values_of(dtype)[..., 0]):
        content = one_page(values, **LAYOUTS[layout])
        page, _ = find_film(content, Limits())
        read = read_samples(content, page)
        np.testing.assert_array_equal(np.squeeze(read), values)
        assert read.dtype == values.dtype


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "zstd", "lzma"])
def test_compressions_of_wide_samples(compression: str) -> None:
    picture = make_picture(top=65535)
    content = encoded(picture, "TIFF", compression=compression)
    np.testing.assert_allclose(decode_content(content).pixels, picture / 65535, atol=1e-6)


def test_packed_samples() -> None:
    """12 bits without gaps; 128 columns of 10 bits fill whole bytes too."""
    for bits in (10, 12, 14, 20):
        values = np.rint(REFERENCE * (2**bits - 1)).astype(np.int64)
        each = values[..., None] >> np.arange(bits - 1, -1, -1) & 1
        packed = np.packbits(each.reshape(len(values), -1).astype(np.uint8), axis=1)
        content = one_page(packed, tags={256: 128, 258: bits})
        np.testing.assert_allclose(
            decode_content(content).pixels, values / (2**bits - 1), atol=1e-6
        )


@pytest.mark.parametrize("order", ["<", ">"])
def test_samples_of_three_bytes(order: str) -> None:
    values = np.rint(REFERENCE * 0.9 * (2**24 - 1)).astype(f"{order}u4")
    each = values.view(np.uint8).reshape(96, 128, 4)
    stored = (each[..., :3] if order == "<" else each[..., 1:]).reshape(96, 384)
    image = decode_content(one_page(stored.copy(), order=order, tags={256: 128, 258: 24}))
    np.testing.assert_allclose(image.pixels, REFERENCE * 0.9, atol=1e-4)


@pytest.mark.parametrize("dtype", ["u2", "u4", "i2", "i4", "f2", "f4", "f8"])
def test_white_is_zero(dtype: str) -> None:
    top = {"u2": 65535, "u4": 2**32 - 1, "i2": 32767, "i4": 2**31 - 1}.get(dtype, 1.0)
    stored = (REFERENCE * top).astype(dtype)
    shown = decode_content(one_page(stored, photometric=1)).pixels
    inverted = decode_content(one_page(stored, photometric=0)).pixels
    np.testing.assert_allclose(shown, REFERENCE, atol=1e-3)
    np.testing.assert_allclose(inverted, 1 - shown, atol=1e-6)


def test_colours_and_opacity_of_sixteen_bits() -> None:
    picture = make_picture(top=65535)
    colours = np.stack([picture, picture // 2, picture // 4, np.full_like(picture, 32768)], axis=-1)
    expected = (picture * 0.299 + picture // 2 * 0.587 + picture // 4 * 0.114) / 65535
    rgb = decode_content(one_page(colours[..., :3].copy()))
    np.testing.assert_allclose(rgb.pixels, expected, atol=1e-4)
    transparent = one_page(colours, tags={338: 2})
    np.testing.assert_allclose(decode_content(transparent).pixels, expected / 2, atol=1e-4)


@pytest.mark.parametrize("is_planar", [False, True])
@pytest.mark.parametrize("photometric", [0, 1])
def test_grey_with_opacity_of_eight_bits(photometric: int, is_planar: bool) -> None:
    opacity = np.full_like(IMAGE, 204)
    content = one_page(
        np.stack([IMAGE, opacity], axis=-1),
        photometric=photometric,
        is_planar=is_planar,
        tags={338: 2},
    )
    expected = REFERENCE if photometric else 1 - REFERENCE
    np.testing.assert_allclose(decode_content(content).pixels, expected * 0.8, atol=1e-5)


def test_colours_with_further_samples_of_eight_bits() -> None:
    image = decode_content(one_page(np.stack([IMAGE] * 5, axis=-1), tags={338: (0, 0)}))
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)


def test_inks_of_sixteen_bits() -> None:
    black = np.zeros((96, 128, 4), np.uint16)
    black[..., 3] = 257 * (255 - IMAGE.astype(np.uint16))
    image = decode_content(one_page(black, photometric=5))
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1.1 / 255)


@pytest.mark.parametrize(
    ("tags", "low", "high"),
    [
        ({281: 4095}, 0, 4095),
        ({280: 1000, 281: 4000}, 1000, 4000),
        ({340: 0.0, 341: 3000.0}, 0, 3000),
        ({270: b"ImageJ=1.53t\nmin=0.0\nmax=3000.0\n\0"}, 0, 3000),
    ],
)
def test_stated_range_is_believed(tags: dict[int, Any], low: int, high: int) -> None:
    stored = (low + REFERENCE * (high - low) * 0.8).astype(np.uint16)
    image = decode_content(one_page(stored, tags=tags))
    assert image.range_rule == RangeRule.STATED
    assert image.warnings == ()
    np.testing.assert_allclose(image.pixels, REFERENCE * 0.8, atol=1e-3)


@pytest.mark.parametrize("tags", [{281: 255}, {281: 65535}, {281: b"text\0"}, {280: 9, 281: 2}])
def test_stated_range_beside_the_values_is_not_believed(tags: dict[int, Any]) -> None:
    image = decode_content(one_page(make_picture(top=4095), tags=tags))
    assert image.range_rule == RangeRule.BITS_USED
    np.testing.assert_allclose(image.pixels, make_picture(top=4095) / 4095, atol=1e-6)


@pytest.mark.parametrize(
    "thumbnail",
    [
        (THUMBNAIL, {"tags": {254: 1}}),
        (make_picture(64, 64), {"tags": {255: 2}}),
        (0 * make_picture(64, 64), {"tags": {254: 1}}),
        (0 * THUMBNAIL, {}),
        (make_picture(48, 48), {}),
    ],
    ids=["NewSubfileType", "SubfileType", "blank", "by its shape", "by its size"],
)
def test_thumbnail_never_stands_for_the_film(thumbnail: Any) -> None:
    for pages in ([thumbnail, (IMAGE, {})], [(IMAGE, {}), thumbnail]):
        image = decode_content(make_tiff(*pages))
        np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)
        assert (image.frames, image.warnings) == (1, ())


def test_largest_sub_ifd_is_read() -> None:
    pyramid = {"children": ((THUMBNAIL, {"tags": {254: 1}}),)}
    raw = {"tags": {254: 1}, "children": ((IMAGE, {}),)}
    unmarked: dict[str, Any] = {"children": ((IMAGE, {}),)}
    pages = ((IMAGE, pyramid), (THUMBNAIL, raw), (make_picture(64, 64), unmarked))
    for content in (make_tiff(page) for page in pages):
        np.testing.assert_allclose(decode_content(content).pixels, REFERENCE, atol=1e-6)


def test_first_of_equal_pages_is_read() -> None:
    other = make_picture(96, 40)  # of another shape: no smaller copy of the first
    image = decode_content(make_tiff((IMAGE, {}), (255 - IMAGE, {}), (other, {})))
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)
    assert image.warnings == ("first of 3 frames read",)


def test_pages_that_lead_to_each_other_are_refused() -> None:
    content = bytearray(one_page(IMAGE))
    content[-4:] = content[4:8]
    with pytest.raises(RefusedError) as refusal:
        decode_content(bytes(content))
    assert refusal.value.reason.code == RefusalCode.DAMAGED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({259: 34887}, "compressed as LERC"),
        ({259: 50002}, "compressed as JPEG XL"),
        ({259: 12345}, "compression does not allow samples of 16 bits"),
        ({339: 6}, "complex samples of 16 bits"),
        ({262: 32845}, "layout of samples is not supported"),
    ],
)
def test_unsupported_kinds_are_named(change: dict[int, int], words: str) -> None:
    with pytest.raises(RefusedError, match=words) as refusal:
        decode_content(one_page(make_picture(top=65535), tags=change))
    assert refusal.value.reason.code == RefusalCode.UNSUPPORTED


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("pixels", [IMAGE, make_picture(top=65535)], ids=["8 bits", "16 bits"])
def test_unequal_resolutions_are_the_pixels_shape(pixels: NDArray[Any], orientation: int) -> None:
    """Twice as many pixels to an inch across as down: a pixel is twice as high as wide."""
    tags = {282: [300, 1], 283: [150, 1], 274: orientation}
    image = decode_content(one_page(pixels, tags=tags))
    assert image.pixel_aspect == (2.0 if orientation == 1 else 0.5)
    expected = np.rot90(REFERENCE, -1) if orientation == 6 else REFERENCE
    np.testing.assert_allclose(image.pixels, expected, atol=3e-3)


@pytest.mark.parametrize("resolution", [[0, 0], [1, 1], [301, 1], [30000, 1], b"text\0"])
def test_odd_resolutions_are_square_pixels(resolution: Any) -> None:
    image = decode_content(one_page(IMAGE, tags={282: resolution, 283: [300, 1]}))
    assert image.pixel_aspect == 1.0


def test_tile_that_is_wider_than_the_image() -> None:
    content = one_page(make_picture(64, 40, top=65535), tile=64)
    np.testing.assert_allclose(
        decode_content(content).pixels, make_picture(64, 40, top=65535) / 65535, atol=1e-6
    )


def test_pillow_keeps_no_bound_of_its_own() -> None:
    """`Limits` is checked before pixels are decoded; bytes of samples are more than pixels."""
    assert Image.MAX_IMAGE_PIXELS is None
