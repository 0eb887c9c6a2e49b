"""Stored copies of PNG, JPEG, TIFF, WebP, BMP and JPEG 2000 are read like their sources."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.decode.decode import decode_content
from tests.support.data.builders import encoded, make_picture
from tests.support.imaging.deidentified import deidentified

EIGHT, SIXTEEN = make_picture(40, 44), make_picture(40, 44, top=65535)
TWELVE = make_picture(40, 44, top=4095)
FORMATS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "JPEG": {},
    "TIFF": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "JPEG2000": {},
}
MODES = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA"],
    "JPEG": ["L", "RGB", "CMYK"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"],
    "WEBP": ["RGB", "RGBA"],
    "BMP": ["1", "L", "P", "RGB"],
    "JPEG2000": ["L", "RGB", "RGBA"],
}


def assert_read_alike(content: bytes, *, tolerance: float = 0) -> None:
    source, copy = (decode_content(one) for one in (content, deidentified(content).blob))
    np.testing.assert_allclose(copy.pixels, source.pixels, rtol=0, atol=tolerance)
    assert copy.range_rule == source.range_rule
    assert copy.pixel_aspect == pytest.approx(source.pixel_aspect)
    assert set(copy.warnings) <= set(source.warnings)


def in_mode(kind: str, mode: str, **options: Any) -> bytes:
    colours = np.stack([EIGHT, 255 - EIGHT, EIGHT // 2, 128 + EIGHT // 2], axis=-1)
    pixels = colours if mode in ("RGBA", "CMYK") else EIGHT
    return encoded(pixels, kind, mode=mode, **FORMATS[kind], **options)


@pytest.mark.parametrize(
    ("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes]
)
def test_every_mode(kind: str, mode: str) -> None:
    assert_read_alike(in_mode(kind, mode), tolerance=1 / 65535)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_every_orientation(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_read_alike(encoded(EIGHT, kind, exif=exif, **FORMATS[kind]))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("top", [255, 1023, 4095, 16383, 65535])
def test_values_of_fewer_bits_than_samples(kind: str, top: int) -> None:
    assert_read_alike(encoded(make_picture(40, 44, top=top).astype(np.uint16), kind))


@pytest.mark.parametrize("pixels", [TWELVE.astype(np.float32), SIXTEEN.astype(np.int32)])
def test_float_and_32_bit_samples(pixels: Any) -> None:
    assert_read_alike(encoded(pixels, "TIFF"), tolerance=1 / 65535)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_unequal_densities(kind: str) -> None:
    assert_read_alike(encoded(EIGHT, kind, dpi=(200, 100)))
