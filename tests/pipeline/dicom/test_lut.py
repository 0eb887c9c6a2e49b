"""PALETTE COLOR as devices and converters write it: tables of 8 and 16 bits, packed or not."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from pipeline.decode.decode import decode
from pipeline.errors import RefusedError
from tests.support.data.builders import make_dataset, make_picture, save_dicom
from tests.support.imaging.deidentified import NAME, deidentified, without_name

GREY = make_picture()
RAMP = np.arange(256)


def in_colours(pixels: Any, table: bytes, *, bits: int, count: int = 256, **tags: Any) -> Dataset:
    dataset = make_dataset(pixels, **{"PhotometricInterpretation": "PALETTE COLOR"} | tags)
    for colour in ("Red", "Green", "Blue"):
        keyword = f"{colour}PaletteColorLookupTable"
        setattr(dataset, f"{keyword}Descriptor", [count, 0, bits])
        setattr(dataset, f"{keyword}Data", table)
        dataset[f"{keyword}Data"].VR = "OW"
    return dataset


DEEP = GREY.astype(np.uint16)
EIGHT_BITS = RAMP.astype(np.uint8).tobytes()
TABLES = {
    "sixteen bits": in_colours(GREY, (RAMP * 257).astype("<u2").tobytes(), bits=16),
    "eight bits": in_colours(GREY, EIGHT_BITS, bits=8),
    "eight bits, one to a word": in_colours(GREY, RAMP.astype("<u2").tobytes(), bits=8),
    "eight bits for sixteen": in_colours(DEEP, EIGHT_BITS, bits=8),
    "eight of sixteen bits stored": in_colours(DEEP | 0x4100, EIGHT_BITS, bits=8, bits_stored=8),
}


@pytest.mark.parametrize("kind", TABLES)
def test_palettes_of_every_kind_decode_alike_before_and_after_storing(
    kind: str, tmp_path: Path
) -> None:
    path = save_dicom(tmp_path / "x.dcm", TABLES[kind])
    np.testing.assert_allclose(decode(path).pixels, GREY / 255, atol=1e-5)
    path.write_bytes(deidentified(path.read_bytes()).blob)
    np.testing.assert_allclose(decode(path).pixels, GREY / 255, atol=1e-5)


def test_bytes_after_the_entries_are_not_stored(tmp_path: Path) -> None:
    table = RAMP[:200].astype(np.uint8).tobytes() + NAME
    path = save_dicom(tmp_path / "x.dcm", in_colours(GREY, table, bits=8, count=200))
    assert NAME not in deidentified(path.read_bytes()).blob
    assert len(pydicom.dcmread(path).RedPaletteColorLookupTableData) > 200


def test_palette_of_a_grey_image_is_not_stored(tmp_path: Path) -> None:
    dataset = in_colours(GREY, NAME.ljust(512), bits=16, PhotometricInterpretation="MONOCHROME2")
    without_name(save_dicom(tmp_path / "x.dcm", dataset).read_bytes())


@pytest.mark.parametrize(
    ("table", "bits", "count"), [(b"", 16, 256), (bytes(100), 16, 256), (bytes(512), 12, 256)]
)
def test_unusable_palettes_are_refused(table: bytes, bits: int, count: int, tmp_path: Path) -> None:
    save_dicom(tmp_path / "x.dcm", in_colours(GREY, table, bits=bits, count=count))
    with pytest.raises(RefusedError, match="the colour tables"):
        decode(tmp_path / "x.dcm")


def test_missing_and_segmented_palettes_are_refused(tmp_path: Path) -> None:
    dataset = make_dataset(GREY, PhotometricInterpretation="PALETTE COLOR")
    save_dicom(tmp_path / "x.dcm", dataset)
    with pytest.raises(RefusedError, match="missing or contradict"):
        decode(tmp_path / "x.dcm")
    dataset.SegmentedRedPaletteColorLookupTableData = bytes(6)
    save_dicom(tmp_path / "x.dcm", dataset)
    with pytest.raises(RefusedError, match="segmented"):
        decode(tmp_path / "x.dcm")
