"""Films whose tags are written carelessly, and can be read all the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataelem import DataElement
from pydicom.tag import Tag

from pipeline.decode import decode
from tests.builders import make_dataset, make_picture, save_dicom

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
