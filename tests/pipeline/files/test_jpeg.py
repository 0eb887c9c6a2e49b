"""Damage among the coded data of a JPEG is refused; what is whole has the values of any viewer."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless

from pipeline.decode.decode import decode_content
from pipeline.errors import RefusedError
from pipeline.files.jpeg import read_luminance
from tests.support.data.builders import make_dicom, make_picture

PICTURE = make_picture(501, 667)
KINDS: dict[str, dict[str, Any]] = {
    "L": {},
    "RGB": {},
    "CMYK": {},
    "L progressive": {"progressive": True},
    "RGB in components": {"keep_rgb": True},
    "RGB with restarts": {"restart_marker_rows": 2},
}


def make(kind: str) -> bytes:
    target = io.BytesIO()
    mode = kind.split()[0]
    Image.fromarray(PICTURE).convert(mode).save(target, "JPEG", quality=90, **KINDS[kind])
    return target.getvalue()


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


def test_metadata_that_the_decoder_dislikes_are_no_damage() -> None:
    broken_profile = b"\xff\xe2\x00\x12ICC_PROFILE\0none"
    content = make("RGB")
    with_profile = content[:2] + broken_profile + content[2:]
    assert read_luminance(with_profile) is None
    pixels = decode_content(with_profile).pixels
    np.testing.assert_allclose(pixels, decode_content(content).pixels, atol=2 / 255)


def test_padding_before_the_end_is_no_damage() -> None:
    content = make("L")
    padded = content[:-2] + b"\0\0" + content[-2:]
    np.testing.assert_array_equal(decode_content(padded).pixels, decode_content(content).pixels)


@pytest.mark.parametrize("kind", ["L", "RGB", "L progressive"])
@pytest.mark.parametrize("minimum", [600, 250, 125, 30])
def test_values_are_those_of_pillow_at_every_scale(kind: str, minimum: int) -> None:
    content = make(kind)
    with Image.open(io.BytesIO(content)) as image:
        image.draft("L", (minimum, minimum))
        expected = np.asarray(image)
    pixels = decode_content(content, minimum_size=minimum).pixels
    np.testing.assert_array_equal(np.rint(pixels * 255), expected)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless])
def test_other_kinds_are_left_to_others(tmp_path: Path, syntax: str) -> None:
    """libjpeg-turbo 3 would write lossless streams beyond the memory of a smaller scale."""
    path = make_dicom(tmp_path / "x.dcm", make_picture(400, 400), transfer_syntax=syntax)
    frame = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    assert read_luminance(frame, scale=8) is None


def test_a_damaged_frame_of_dicom_is_refused(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", PICTURE, transfer_syntax=JPEGBaseline8Bit)
    assert decode_content(path.read_bytes()).rows == 501
    dataset = pydicom.dcmread(path)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([overwritten(frame, bytes(512))])
    dataset.save_as(path)
    with pytest.raises(RefusedError, match=r"the JPEG data are damaged"):
        decode_content(path.read_bytes())
