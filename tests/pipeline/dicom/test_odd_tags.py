"""Films whose tags are written carelessly, and can be read all the same; or to keep us busy."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate, get_frame
from pydicom.tag import Tag
from pydicom.uid import RLELossless

from pipeline.decode.decode import decode
from pipeline.errors import RefusedError
from tests.support.data.builders import make_dataset, make_picture, save_dicom

PICTURE = make_picture(top=1023)


@pytest.mark.parametrize(
    "tags",
    [
        {"SamplesPerPixel": None},
        {"PixelRepresentation": None},
        {"HighBit": None},
        {"PhotometricInterpretation": "monochrome2"},
    ],
    ids=str,
)
def test_missing_or_in_small_letters(tags: dict[str, Any], tmp_path: Path) -> None:
    save_dicom(tmp_path / "x.dcm", make_dataset(PICTURE, bits_stored=10, **tags))
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, PICTURE / 1023, atol=1e-6)


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [("Rows", "LO", "96"), ("Columns", "FD", 128.0), ("PixelRepresentation", "LO", "0")],
)
def test_numbers_of_another_kind(keyword: str, vr: str, value: Any, tmp_path: Path) -> None:
    dataset = make_dataset(PICTURE, bits_stored=10)
    dataset[keyword] = DataElement(Tag(keyword), vr, value)
    save_dicom(tmp_path / "x.dcm", dataset)
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, PICTURE / 1023, atol=1e-6)


def test_colours_scale_by_the_bits_stored(tmp_path: Path) -> None:
    """Twelve bits in sixteen were shown sixteen times too dark."""
    colours = np.stack([PICTURE] * 3, axis=-1)
    dataset = make_dataset(colours, bits_stored=10, PlanarConfiguration=None)
    save_dicom(tmp_path / "x.dcm", dataset)
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, PICTURE / 1023, atol=1e-5)


@pytest.mark.parametrize(
    ("width", "centre"),
    [("1", "512"), ("900", "1e9"), ("1e300", "0"), ("4O95 ", "512"), ("409,6", "512")],
)
def test_windows_through_which_nothing_is_seen(width: str, centre: str, tmp_path: Path) -> None:
    """Of no width, beside the film, endless, or no number: shown without."""
    path = tmp_path / "x.dcm"
    tags = {"WindowWidth": "77777", "WindowCenter": centre}
    save_dicom(path, make_dataset(PICTURE, bits_stored=10, **tags))
    path.write_bytes(path.read_bytes().replace(b"77777 ", width.ljust(6).encode()))
    image = decode(path)
    np.testing.assert_allclose(image.pixels, PICTURE / 1023, atol=1e-6)
    assert image.warnings == ("the stated window cannot be applied, the whole range is shown",)


def test_a_slope_next_to_nothing(tmp_path: Path) -> None:
    save_dicom(tmp_path / "x.dcm", make_dataset(PICTURE, bits_stored=10, RescaleSlope="1e-30"))
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, PICTURE / 1023, atol=1e-6)


def test_offsets_that_count_from_the_beginning_of_the_file(tmp_path: Path) -> None:
    """As some writers do (PS3.5 A.4 counts from the first frame)."""
    path = tmp_path / "x.dcm"
    save_dicom(path, make_dataset(PICTURE, bits_stored=10), transfer_syntax=RLELossless)
    dataset = pydicom.dcmread(path)
    pixels = bytearray(encapsulate([get_frame(dataset.PixelData, 0, number_of_frames=1)]))
    pixels[8:12] = (1234).to_bytes(4, "little")
    dataset.PixelData = bytes(pixels)
    dataset.save_as(path)
    np.testing.assert_allclose(decode(path).pixels, PICTURE / 1023, atol=1e-6)


ITEM = b"\xfe\xff\x00\xe0\0\0\0\0"


@pytest.mark.parametrize(
    ("bomb", "words"),
    [
        (b"\x09\0\1\x10LO\0\0" * 500_000, "DICOM data set"),
        (b"\x09\0\1\x10SQ\0\0\xff\xff\xff\xff" + ITEM * 500_000, "DICOM data set"),
        (b"\x28\0\x10\x30SQ\0\0" + (8 * 10**6).to_bytes(4, "little") + ITEM * 10**6, "too long"),
    ],
    ids=["elements", "items", "items of a table"],
)
def test_a_million_of_nothing(bomb: bytes, words: str, tmp_path: Path) -> None:
    """It took minutes."""
    path = tmp_path / "x.dcm"
    save_dicom(path, make_dataset(PICTURE, bits_stored=10))
    content = path.read_bytes()
    place = content.index(b"\xe0\x7f\x10\0OW")
    path.write_bytes(content[:place] + bomb + content[place:])
    began_s = time.process_time()
    with pytest.raises(RefusedError, match=words):
        decode(path)
    assert time.process_time() - began_s < 20
