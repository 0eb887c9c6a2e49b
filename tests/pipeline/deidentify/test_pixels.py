"""Overlays in bits that samples do not store, under codecs that carry every bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.decode.decode import decode, decode_content
from tests.support.data.builders import make_dicom, make_picture
from tests.support.imaging.deidentified import deidentified

PICTURE = make_picture(top=1023)
LOSSLESS = [JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless]


def of_ten_bits(path: Path, pixels: NDArray[Any], syntax: str, *, signed: bool = False) -> Path:
    """Encoded in all of their sixteen bits, of which the tags then say that ten are stored."""
    make_dicom(path, pixels, transfer_syntax=syntax)
    dataset = pydicom.dcmread(path)
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 10, 9, int(signed)
    dataset.save_as(path)
    return path


def stored_of(path: Path) -> bytes:
    return deidentified(path.read_bytes()).blob


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_an_overlay_is_neither_seen_nor_stored(syntax: str, tmp_path: Path) -> None:
    drawn = PICTURE.copy()
    drawn[10:20, 10:40] |= 0x8000
    path = of_ten_bits(tmp_path / "x.dcm", drawn, syntax)
    np.testing.assert_allclose(decode(path).pixels, PICTURE / 1023, atol=1e-6)
    kept = pydicom.dcmread(pydicom.filebase.DicomBytesIO(stored_of(path)))
    assert kept.file_meta.TransferSyntaxUID == RLELossless
    np.testing.assert_array_equal(kept.pixel_array, PICTURE)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_a_picture_in_its_own_bits_keeps_its_encoding(syntax: str, tmp_path: Path) -> None:
    path = of_ten_bits(tmp_path / "x.dcm", PICTURE, syntax)
    kept = pydicom.dcmread(pydicom.filebase.DicomBytesIO(stored_of(path)))
    assert kept.file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(decode_content(stored_of(path)).pixels, decode(path).pixels)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_signs_are_continued(syntax: str, tmp_path: Path) -> None:
    """What continues a sign is no overlay."""
    values = PICTURE.astype(np.int16) - 512
    path = of_ten_bits(tmp_path / "x.dcm", values.view(np.uint16), syntax, signed=True)
    np.testing.assert_allclose(decode(path).pixels, PICTURE / 1023, atol=1e-6)
    np.testing.assert_allclose(decode_content(stored_of(path)).pixels, PICTURE / 1023, atol=1e-6)


def test_what_a_lossy_codec_makes_is_whole(tmp_path: Path) -> None:
    """A little beyond the bits stored it is white, not black."""
    path = of_ten_bits(tmp_path / "x.dcm", PICTURE + np.uint16(8), JPEG2000Lossless)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEG2000
    dataset.save_as(path)
    white = PICTURE > 1023 - 8
    assert white.any()
    assert (decode(path).pixels[white] == 1).all()
