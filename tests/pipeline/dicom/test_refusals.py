"""Refusals of DICOM files name tag and cause, and quote no value."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from pipeline.decode.decode import decode, decode_content
from pipeline.errors import RefusalCode, RefusedError
from pipeline.limits import Limits
from pipeline.prepare.prepare import prepare
from tests.support.data.builders import LOSSLESS, make_dataset, make_dicom, make_picture, save_dicom

IMAGE = make_picture(top=1023)  # 10 bits in 16


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"PixelData": None}, "without Pixel Data (7FE0,0010)"),
        ({"Rows": None}, "Rows (0028,0010) is missing"),
        ({"Rows": 97}, "cut short: expected 12416 bytes, received 12288"),
        ({"Rows": 65535, "Columns": 65535}, "too large: expected at most 64000000 pixels"),
        ({"Rows": 8, "Columns": 8}, "too small"),
        ({"NumberOfFrames": "4000"}, "expected 1 to 1000 frames, received 4000"),
        ({"BitsAllocated": 12, "PixelData": bytes(18432)}, "Bits Allocated (0028,0100) is not 1,"),
        ({"PhotometricInterpretation": "CMYK"}, "Photometric Interpretation (0028,0004) is CMYK"),
        ({"SamplesPerPixel": 2}, "Samples per Pixel (0028,0002) is 2"),
    ],
)
def test_refusals_name_tag_and_cause(
    tmp_path: Path, attributes: dict[str, Any], words: str
) -> None:
    path = make_dicom(tmp_path / "x.dcm", **attributes)
    with pytest.raises(RefusedError) as refusal:
        decode(path)
    assert words in str(refusal.value)


def test_value_that_cannot_be_parsed_is_not_quoted(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", RescaleSlope=1234567)
    path.write_bytes(path.read_bytes().replace(b"1234567", b"DoeJane"))
    (warning,) = decode(path).warnings
    assert warning == "Rescale Slope (0028,1053) is not usable: 1 is assumed"


@pytest.mark.parametrize("keyword", ["Modality", "PatientOrientation", "Rows", "PatientID"])
def test_sequence_in_place_of_a_value_is_not_read(tmp_path: Path, keyword: str) -> None:
    """Its item cannot be parsed, since its VR does not exist."""
    dataset = make_dataset(IMAGE)
    item = Dataset()
    item.add_new(0x53430002, "LO", "Jane Doe")
    dataset.pop(keyword, None)
    dataset.add(DataElement(Tag(keyword), "SQ", Sequence([item])))
    path = save_dicom(tmp_path / "x.dcm", dataset)
    path.write_bytes(path.read_bytes().replace(b"\x43\x53\x02\x00LO", b"\x43\x53\x02\x00PA"))
    with suppress(RefusedError):
        stored = prepare(path, key=b"key").stored
        assert stored is not None
        assert b"Doe" not in stored.blob


@pytest.mark.parametrize("vr", ["PN", "DS", "OB"])
@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_value_in_place_of_a_sequence_is_ignored(tmp_path: Path, keyword: str, vr: str) -> None:
    dataset = make_dataset(IMAGE)
    dataset.add(DataElement(Tag(keyword), vr, b"12" if vr == "OB" else "12"))
    assert prepare(save_dicom(tmp_path / "x.dcm", dataset), key=b"key").stored


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_truncated_file_is_refused(tmp_path: Path, syntax: str, share: float) -> None:
    path = make_dicom(tmp_path / "x.dcm", IMAGE, bits_stored=10, transfer_syntax=syntax)
    content = path.read_bytes()
    with pytest.raises(RefusedError) as refusal:
        decode_content(content[: int(len(content) * share)])
    # A file that ends before its Pixel Data is a valid one without an image.
    assert refusal.value.reason.code in (RefusalCode.DAMAGED, RefusalCode.NOT_AN_IMAGE)


def test_deflated_file_is_inflated_within_bounds(tmp_path: Path) -> None:
    path = make_dicom(
        tmp_path / "x.dcm",
        np.zeros((2000, 2000), np.uint16),
        transfer_syntax=DeflatedExplicitVRLittleEndian,
    )
    assert path.stat().st_size < 100_000
    with pytest.raises(RefusedError, match="too large: expected at most 1000000 bytes"):
        decode(path, limits=Limits(max_bytes=1_000_000))


ITEM = b"\xfe\xff\x00\xe0\0\0\0\0"


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x09\0\1\x10LO\0\0" * 500_000,
        b"\x09\0\1\x10SQ\0\0\xff\xff\xff\xff" + ITEM * 500_000,
    ],
    ids=["elements", "items"],
)
def test_a_million_empty_elements_are_refused(bomb: bytes, tmp_path: Path) -> None:
    began_s = time.process_time()
    with pytest.raises(RefusedError, match="DICOM data set"):
        decode_content(with_element(bomb, tmp_path))
    assert time.process_time() - began_s < 20


def test_a_million_empty_tables_are_not_read(tmp_path: Path) -> None:
    bomb = b"\x28\0\x10\x30SQ\0\0" + (8 * 10**6).to_bytes(4, "little") + ITEM * 10**6
    began_s = time.process_time()
    image = decode_content(with_element(bomb, tmp_path))
    assert image.warnings == ("VOI LUT Sequence (0028,3010) holds no usable table",)
    assert time.process_time() - began_s < 20


def with_element(element: bytes, folder: Path) -> bytes:
    content = make_dicom(folder / "x.dcm", IMAGE, bits_stored=10).read_bytes()
    place = content.index(b"\xe0\x7f\x10\0OW")
    return content[:place] + element + content[place:]
