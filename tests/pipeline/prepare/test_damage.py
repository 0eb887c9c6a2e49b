"""Whatever is done to a file's bytes, the answer is a picture or a refusal, nothing else."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from pipeline.decode.decode import decode_content
from pipeline.errors import RefusedError
from tests.fuzz.seeds import FIXED
from tests.support.data.builders import encoded, make_dicom, make_picture
from tests.support.imaging.deidentified import deidentified


def _raster(kind: str, _: Path) -> bytes:
    return encoded(make_picture(), kind)


def _dicom(transfer_syntax: str, folder: Path) -> bytes:
    return make_dicom(folder / "x.dcm", transfer_syntax=transfer_syntax, **FIXED).read_bytes()


KINDS: dict[str, Callable[[Path], bytes]] = {
    **{kind: partial(_raster, kind) for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "JPEG2000")},
    **{
        name: partial(_dicom, syntax)
        for name, syntax in {
            "DICOM": pydicom.uid.ExplicitVRLittleEndian,
            "DICOM RLE": RLELossless,
            "DICOM JPEG": JPEGBaseline8Bit,
            "DICOM JPEG-LS": JPEGLSLossless,
            "DICOM JPEG 2000": JPEG2000Lossless,
        }.items()
    },
}

damages = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)),
    min_size=1,
    max_size=8,
)


def damaged(content: bytes, damage: list[tuple[float, bytes]], *, within: int) -> bytes:
    result = bytearray(content)
    for place, replacement in damage:
        start = int(place * min(within, len(content)))
        result[start : start + len(replacement)] = replacement
    return bytes(result)


@pytest.mark.parametrize("kind", KINDS)
@given(damage=damages, within=st.sampled_from([400, 1500, 10**6]))
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damage_ends_in_a_picture_or_a_refusal(
    kind: str, damage: list[tuple[float, bytes]], within: int, tmp_path: Path
) -> None:
    content = damaged(KINDS[kind](tmp_path), damage, within=within)
    try:
        image = decode_content(content)
        deidentified(content)
    except RefusedError as refusal:
        described(refusal)
    else:
        assert image.pixels.min() >= 0
        assert image.pixels.max() <= 1


def described(refusal: Any) -> None:
    assert 10 < len(str(refusal)) < 250
    assert "\n" not in str(refusal)


def test_rle_segments_that_are_too_long_are_read_as_far_as_needed(tmp_path: Path) -> None:
    """The fast decoder panics on them, which in Python is no Exception; the other forgives."""
    picture = make_picture(top=1023)
    path = make_dicom(tmp_path / "x.dcm", picture, bits_stored=10, transfer_syntax=RLELossless)
    dataset = pydicom.dcmread(path)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame.rstrip(b"\0") + b"\x81\x01" * 200])
    dataset.save_as(path)
    image = decode_content(path.read_bytes())
    np.testing.assert_allclose(image.pixels, picture / 1023, atol=1e-6)
