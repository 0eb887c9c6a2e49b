"""JPEG of more than 8 bits and without loss: the samples that were coded, in files of any kind."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless

from pipeline.decode.decode import decode_content
from pipeline.errors import RefusedError
from pipeline.files.jpeg import read_jpeg
from pipeline.files.jpeg_samples import read_jpeg_samples, read_precise
from pipeline.limits import Limits
from tests.support.data.builders import encoded, jpeg_with, make_dicom, make_picture
from tests.support.imaging.deidentified import deidentified
from tests.support.imaging.jpeg12 import encode_jpeg12

DEEP = make_picture(top=4095)
LOSSLESS = [JPEGLosslessSV1, JPEGLSLossless]


def stream_of(folder: Path, pixels: NDArray[np.uint16], syntax: str) -> bytes:
    path = make_dicom(folder / "x.dcm", pixels, transfer_syntax=syntax)
    return get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)


def test_twelve_bit_samples_are_those_that_were_coded() -> None:
    samples, header = read_jpeg_samples(encode_jpeg12(DEEP))
    assert header.precision == 12
    assert samples.dtype == np.uint16
    np.testing.assert_allclose(samples.astype(int), DEEP, atol=2)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_samples_are_exact(syntax: str, tmp_path: Path) -> None:
    samples, _ = read_jpeg_samples(stream_of(tmp_path, DEEP, syntax))
    np.testing.assert_array_equal(samples, DEEP)


def test_twelve_bit_file_and_its_stored_copy_are_read() -> None:
    content = encode_jpeg12(DEEP)
    found = decode_content(content)
    assert (found.rows, found.columns) == DEEP.shape
    np.testing.assert_allclose(found.pixels * 4095, DEEP, atol=2.01)
    np.testing.assert_array_equal(decode_content(deidentified(content).blob).pixels, found.pixels)


def test_orientation_of_twelve_bit_file_is_applied_and_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = jpeg_with(encode_jpeg12(DEEP), marker=0xE1, body=exif.tobytes())
    expected = decode_content(encode_jpeg12(DEEP)).pixels[::-1].T
    for one in (content, deidentified(content).blob):
        np.testing.assert_array_equal(decode_content(one).pixels, expected)


def test_colours_of_lossless_file_become_luminance(tmp_path: Path) -> None:
    colours = np.stack([make_picture(), 255 - make_picture(), make_picture() // 2], axis=-1)
    content = stream_of(tmp_path, colours, JPEGLosslessSV1)
    expected = colours @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(decode_content(content).pixels * 255, expected, atol=0.6)


def test_eight_bit_file_is_left_to_other_decoders() -> None:
    assert read_precise(read_jpeg(encoded(make_picture(), "JPEG"))) is None


def test_twelve_bit_file_is_refused_beyond_limits_and_when_cut_short() -> None:
    content = encode_jpeg12(DEEP)
    with pytest.raises(RefusedError, match="too large"):
        decode_content(content, limits=Limits(max_pixels=DEEP.size - 1))
    with pytest.raises(RefusedError, match="cut short"):
        decode_content(content[:-100])
    arithmetic = content.replace(b"\xff\xc1", b"\xff\xc9")
    with pytest.raises(RefusedError, match="12 bits are damaged or of a kind"):
        decode_content(arithmetic)


def test_precision_that_does_not_exist_is_refused() -> None:
    content = encode_jpeg12(DEEP).replace(b"\xff\xc1\0\x0b\x0c", b"\xff\xc1\0\x0b\xff")
    with pytest.raises(RefusedError, match="2 to 16 bits, received 255"):
        decode_content(content)
