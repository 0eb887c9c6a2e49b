"""PNG, JPEG, TIFF and similar formats decode to the same pixels in every mode."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.decode.decode import decode, decode_content
from pipeline.decode.xmp import SYNTHETIC
from pipeline.errors import RefusalCode, RefusedError
from pipeline.limits import Limits
from tests.support.data.builders import (
    encoded,
    make_jpeg,
    make_picture,
    make_png,
    make_raster,
    png_chunk,
)

IMAGE = make_picture()
REFERENCE = IMAGE / 255
SIXTEEN = make_picture(top=65535)


@pytest.mark.parametrize(
    ("kind", "mode", "tolerance"),
    [
        *(("PNG", mode, 1e-6) for mode in ("L", "LA", "P", "RGB", "RGBA")),
        *(("TIFF", mode, 2.1 / 255) for mode in ("L", "RGB", "RGBA", "CMYK", "LA", "YCbCr")),
        *(("JPEG", mode, 8 / 255) for mode in ("L", "RGB", "CMYK")),
    ],
)
def test_modes_of_each_format(kind: str, mode: str, tolerance: float) -> None:
    pixels = decode_content(encoded(IMAGE, kind, mode=mode)).pixels
    np.testing.assert_allclose(pixels, REFERENCE, atol=tolerance)


@pytest.mark.parametrize(
    ("suffix", "stored", "expected"),
    [
        ("bmp", IMAGE, REFERENCE),
        ("jp2", IMAGE, REFERENCE),
        ("webp", IMAGE, REFERENCE),
        ("png", IMAGE > 127, IMAGE > 127),
        ("png", SIXTEEN // 10 * 8, (SIXTEEN // 10 * 8) / 65535),
        ("tif", SIXTEEN // 10 * 8, (SIXTEEN // 10 * 8) / 65535),
        ("tif", SIXTEEN.astype(">u2"), SIXTEEN / 65535),
        # The smallest usual range that holds the values.
        ("png", SIXTEEN // 16, (SIXTEEN // 16) / 4095),
        ("tif", SIXTEEN // 4, (SIXTEEN // 4) / 16383),
        ("tif", (SIXTEEN // 2).astype(np.int16), (SIXTEEN // 2) / 32767),
        ("tif", REFERENCE.astype(np.float32), REFERENCE),
        ("tif", IMAGE.astype(np.float32), REFERENCE),
        ("tif", IMAGE.astype(np.int32), REFERENCE),
        ("tif", SIXTEEN.astype(np.int32), SIXTEEN / 65535),
    ],
)
def test_values_scale_by_the_range_of_their_type(
    tmp_path: Path, suffix: str, stored: NDArray[Any], expected: NDArray[Any]
) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    path = make_raster(tmp_path / f"x.{suffix}", stored, **options)
    np.testing.assert_allclose(decode(path).pixels, expected, atol=1e-6)


def test_lab_tiff(tmp_path: Path) -> None:
    """Grey 119 of sRGB has L* 50 (IEC 61966-2-1, CIE 1976)."""
    lab = np.zeros((64, 64, 3), np.uint8)
    lab[..., 0], lab[:32, :, 0] = 128, 255
    path = tmp_path / "x.tif"
    Image.fromarray(lab, "LAB").save(path)
    pixels = decode(path).pixels
    assert pixels[0, 0] == pytest.approx(1, abs=1e-3)
    assert pixels[-1, -1] * 255 == pytest.approx(119, abs=1)


def test_colour_becomes_luminance(tmp_path: Path) -> None:
    colour = np.zeros((64, 64, 3), np.uint8)
    colour[:, :32, 0], colour[:, 32:, 1] = 255, 255
    pixels = decode(make_png(tmp_path / "x.png", colour)).pixels
    assert pixels[0, 0] == pytest.approx(0.299, abs=0.003)
    assert pixels[0, -1] == pytest.approx(0.587, abs=0.003)


def test_transparent_parts_are_black(tmp_path: Path) -> None:
    rgba = np.dstack([IMAGE] * 3 + [np.full_like(IMAGE, 255)])
    rgba[:40, :, 3] = 0
    pixels = decode(make_png(tmp_path / "x.png", rgba)).pixels
    assert pixels[:40].max() == 0
    np.testing.assert_allclose(pixels[40:], REFERENCE[40:], atol=1e-6)


def sixteen_bit_png(samples: NDArray[Any], colour_type: int) -> bytes:
    """Return a PNG of (H, W, channels), which Pillow does not write."""
    rows, columns, _ = samples.shape
    header = struct.pack(">IIBBBBB", columns, rows, 16, colour_type, 0, 0, 0)
    filtered = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = [(b"IHDR", header), (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*one) for one in body)


@pytest.mark.parametrize(
    ("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "grey, opacity", "RGBA"]
)
def test_used_bits_of_png_with_channels(colour_type: int, channels: int) -> None:
    for top, tolerance in ((65535, 1.1 / 255), (4095, 1e-4), (1023, 1e-4)):
        samples = np.stack([make_picture(top=top)] * channels, axis=-1)
        if channels in (2, 4):
            samples[..., -1] = 65535
        image = decode_content(sixteen_bit_png(samples, colour_type))
        np.testing.assert_allclose(image.pixels, make_picture(top=top) / top, atol=tolerance)
        assert image.range_rule == ("bits stored" if top == 65535 else "bits used")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    ("source", "warnings"),
    [
        ("algorithmicMedia", (SYNTHETIC,)),
        ("trainedAlgorithmicMedia", (SYNTHETIC,)),
        ("digitalCapture", ()),
    ],
)
def test_image_made_by_a_program_is_warned_of(
    kind: str, source: str, warnings: tuple[str, ...]
) -> None:
    address = f"http://cv.iptc.org/newscodes/digitalsourcetype/{source}"
    xmp = f'<x Iptc4xmpExt:DigitalSourceType="{address}"/>'
    text, target = PngInfo(), io.BytesIO()
    text.add_itxt("XML:com.adobe.xmp", xmp)
    stated = {"pnginfo": text} if kind == "PNG" else {"xmp": xmp.encode()}
    Image.fromarray(IMAGE).save(target, kind, **stated)
    assert decode_content(target.getvalue()).warnings == warnings


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation(orientation: int, kind: str) -> None:
    """Turned by Pillow as the tag states, decoded upright."""
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # EXIF 6 is a quarter turn clockwise
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(IMAGE)
    if orientation in turns:
        stored = stored.transpose(turns[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode_content(encoded(np.asarray(stored), kind, exif=exif))
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=8 / 255)
    assert (image.rows, image.columns) == stored.size[::-1]


def test_large_jpeg_is_decoded_at_reduced_scale_within_the_bound(tmp_path: Path) -> None:
    path = make_jpeg(tmp_path / "x.jpg", make_picture(1000, 1900))
    assert decode(path).pixels.shape == (1000, 1900)
    reduced = decode(path, minimum_size=448)
    assert reduced.pixels.shape == (500, 950)
    assert (reduced.rows, reduced.columns) == (1000, 1900)


def test_first_of_several_pages_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    pages = [Image.fromarray(IMAGE), Image.fromarray(255 - IMAGE)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    image = decode(path)
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)
    assert image.frames == 2
    assert image.warnings == ("first of 2 frames read",)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "JPEG2000", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_file_is_refused(kind: str, share: float) -> None:
    content = encoded(make_picture(400, 400), kind)
    with pytest.raises(RefusedError) as refusal:
        decode_content(content[: int(len(content) * share)])
    assert refusal.value.reason.code == RefusalCode.DAMAGED


@pytest.mark.parametrize(
    ("pixels", "limits", "words"),
    [
        (make_picture(31, 200), {}, "too small"),
        (make_picture(40, 400), {}, "within 1 : 8"),
        (
            make_picture(300, 300),
            {"max_pixels": 80_000},
            "expected at most 80000 pixels, received 300 x 300 pixels",
        ),
        (IMAGE, {"max_bytes": 100}, "too large: expected at most 100 bytes"),
        (0 * IMAGE, {}, "every pixel has the same value"),
    ],
    ids=["small", "long", "pixels", "bytes", "blank"],
)
def test_images_beyond_the_limits_are_refused(
    tmp_path: Path, pixels: NDArray[Any], limits: dict[str, Any], words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        decode(make_png(tmp_path / "x.png", pixels), limits=Limits(**limits))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be read: No such file"):
        decode(tmp_path / "nothing.png")
