"""JPEG streams: damage among the coded data is refused, and sound streams decode as in Pillow."""

import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.uid import JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless

from pipeline.decode.decode import decode_content
from pipeline.errors import RefusedError
from pipeline.files.jpeg import read_jpeg, read_luminance
from pipeline.limits import Limits
from tests.support.data.builders import change_frame, encoded, jpeg_with, make_dicom, make_picture
from tests.support.imaging.deidentified import NAME, deidentified

IMAGE = make_picture(501, 667)
SMALL = make_picture()
KINDS: dict[str, dict[str, Any]] = {
    "L": {},
    "RGB": {},
    "CMYK": {},
    "L progressive": {"progressive": True},
    "RGB in components": {"keep_rgb": True},
    "RGB with restarts": {"restart_marker_rows": 2},
}


def make(kind: str) -> bytes:
    return encoded(IMAGE, "JPEG", mode=kind.split()[0], quality=90, **KINDS[kind])


def overwritten(content: bytes, new: bytes, *, at: float = 0.6) -> bytes:
    place = int(at * len(content))
    return content[:place] + new + content[place + len(new) :]


def without_some(content: bytes) -> bytes:
    return content[: len(content) // 2] + content[len(content) // 2 + 100 :]


@pytest.mark.parametrize("kind", KINDS)
def test_zeroed_blocks_and_missing_bytes_are_refused(kind: str) -> None:
    content = make(kind)
    assert decode_content(content).rows == 501
    for damaged in (overwritten(content, bytes(512)), without_some(content)):
        with pytest.raises(RefusedError, match=r"the JPEG data are damaged"):
            decode_content(damaged)


def test_unknown_marker_in_the_coded_data_is_refused() -> None:
    with pytest.raises(RefusedError, match="unknown marker"):
        decode_content(overwritten(make("L"), b"\xff\x02\xff\x10"))


def test_broken_colour_profile_is_not_damage() -> None:
    broken_profile = b"\xff\xe2\x00\x12ICC_PROFILE\0none"
    content = make("RGB")
    with_profile = content[:2] + broken_profile + content[2:]
    assert read_luminance(read_jpeg(with_profile)) is None
    pixels = decode_content(with_profile).pixels
    np.testing.assert_allclose(pixels, decode_content(content).pixels, atol=2 / 255)


def test_padding_before_the_end_marker_is_not_damage() -> None:
    content = make("L")
    padded = content[:-2] + b"\0\0" + content[-2:]
    np.testing.assert_array_equal(decode_content(padded).pixels, decode_content(content).pixels)


@pytest.mark.parametrize("kind", ["L", "RGB", "L progressive"])
@pytest.mark.parametrize("minimum", [600, 250, 125, 30])
def test_luminance_equals_pillow_at_every_scale(kind: str, minimum: int) -> None:
    content = make(kind)
    with Image.open(io.BytesIO(content)) as image:
        image.draft("L", (minimum, minimum))
        expected = np.asarray(image)
    pixels = decode_content(content, minimum_size=minimum).pixels
    np.testing.assert_array_equal(np.rint(pixels * 255), expected)


def test_orientation_is_read_from_xmp_too() -> None:
    content = encoded(SMALL, "JPEG", quality=90)
    turned = encoded(SMALL, "JPEG", quality=90, xmp=b'<x tiff:Orientation="3"/>')
    expected = decode_content(content).pixels[::-1, ::-1]
    np.testing.assert_array_equal(decode_content(turned).pixels, expected)


def test_first_of_several_images_in_a_file_is_read() -> None:
    others = [Image.fromarray(255 - SMALL)]
    image = decode_content(encoded(SMALL, "MPO", save_all=True, append_images=others))
    assert image.warnings == ("first of 2 frames read",)
    expected = decode_content(encoded(SMALL, "JPEG")).pixels
    np.testing.assert_array_equal(image.pixels, expected)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless])
def test_read_luminance_skips_lossless_streams(tmp_path: Path, syntax: str) -> None:
    """libjpeg-turbo 3 would write lossless streams beyond the memory of a smaller scale."""
    path = make_dicom(tmp_path / "x.dcm", make_picture(400, 400), transfer_syntax=syntax)
    frame = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    assert read_luminance(read_jpeg(frame), scale=8) is None


def test_damaged_jpeg_frame_in_dicom_is_refused(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", IMAGE, transfer_syntax=JPEGBaseline8Bit)
    assert decode_content(path.read_bytes()).rows == 501
    change_frame(path, lambda frame: overwritten(frame, bytes(512)))
    with pytest.raises(RefusedError, match=r"the JPEG data are damaged"):
        decode_content(path.read_bytes())


def with_scans(count: int) -> bytes:
    jpeg = encoded(SMALL, "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * count + jpeg[-2:]


def with_segments(count: int) -> bytes:
    return make("L")[:2] + b"\xff\xe5\0\2" * count + b"\xff\xd9"


@pytest.mark.parametrize(
    ("make_parts", "kind"),
    [(partial(with_scans, 2500), "scans"), (partial(with_segments, 10**6), "segments")],
)
def test_too_many_parts_are_refused_quickly(make_parts: Callable[[], bytes], kind: str) -> None:
    content, began_s = make_parts(), time.process_time()
    with pytest.raises(RefusedError, match=kind):
        decode_content(content)
    assert time.process_time() - began_s < 1


def test_number_of_scans_is_bounded_by_size() -> None:
    decode_content(with_scans(30))
    with pytest.raises(RefusedError, match="scans"):
        decode_content(with_scans(30), limits=Limits(max_pixels=SMALL.size))


@pytest.mark.parametrize("marker", [0xDC, 0xF0, 0xBF])
def test_strip_jpeg_drops_segments_that_decoders_ignore(marker: int) -> None:
    content = jpeg_with(encoded(SMALL, "JPEG"), marker=marker, body=NAME)
    assert NAME not in deidentified(content).blob
