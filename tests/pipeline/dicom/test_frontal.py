"""Tags of frontal chest radiographs, and warnings of burned-in text."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from pipeline.decode.decode import decode
from pipeline.dicom.frontal import FACE, HINT, TEXT, burned_in_warnings, check_frontal
from pipeline.errors import RefusedError
from tests.support.data.builders import make_dicom


def stating(tags: dict[str, str]) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"Modality": "CR"},
        {"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA"},
        {"Modality": "DX", "BodyPartExamined": "PORT CHEST", "ViewPosition": "AP"},
        {"Modality": "RF", "BodyPartExamined": "THORAX"},
        {"Modality": "OT", "BodyPartExamined": "CHEST"},
        {"Modality": "CR", "BodyPartExamined": "UNKNOWN"},
        {"Modality": "CR", "PatientOrientation": "L\\F"},
        {"Modality": "CR", "ViewPosition": "PA", "PatientOrientation": "A\\F"},
    ],
)
def test_check_frontal_accepts(tags: dict[str, str]) -> None:
    check_frontal(stating(tags))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Modality": "CT", "BodyPartExamined": "CHEST"}, "Modality (0008,0060) is CT"),
        ({"Modality": "OT"}, "Modality (0008,0060) is OT"),
        ({"Modality": "MG"}, "Modality (0008,0060) is MG"),
        ({"Modality": "CR", "BodyPartExamined": "EXTREMITY"}, "is EXTREMITY, expected CHEST"),
        ({"Modality": "CR", "BodyPartExamined": "RIBCAGELESS"}, "is not a term"),
        ({"Modality": "DX", "ViewPosition": "LL"}, "a lateral view: View Position (0018,5101)"),
        ({"Modality": "DX", "ViewPosition": "LATERAL"}, "reads frontal views only"),
        ({"Modality": "DX", "ViewPosition": "RAO"}, "an oblique view"),
        ({"Modality": "DX", "PatientOrientation": "A\\F"}, "a lateral view: Patient Orientation"),
    ],
)
def test_check_frontal_refuses(tags: dict[str, str], words: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        check_frontal(stating(tags))
    assert words in str(refusal.value)


@pytest.mark.parametrize("keyword", ["Modality", "BodyPartExamined"])
def test_refusal_repeats_no_name(keyword: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        check_frontal(stating({keyword: "JANE DOE"}))
    assert "is not a term of the standard" in str(refusal.value)
    assert "DOE" not in str(refusal.value)


@pytest.mark.parametrize(
    ("attributes", "warnings"),
    [
        ({}, ()),
        ({"BurnedInAnnotation": "NO"}, ()),
        ({"BurnedInAnnotation": "YES"}, (TEXT,)),
        ({"BurnedInAnnotation": "yes"}, (TEXT,)),
        ({"RecognizableVisualFeatures": "YES"}, (FACE,)),
        ({"BurnedInAnnotation": "YES", "RecognizableVisualFeatures": "YES"}, (TEXT, FACE)),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, (HINT,)),
        ({"SOPClassUID": MultiFrameGrayscaleByteSecondaryCaptureImageStorage}, (HINT,)),
        ({"SOPClassUID": SecondaryCaptureImageStorage, "BurnedInAnnotation": "NO"}, ()),
        ({"SOPClassUID": SecondaryCaptureImageStorage, "BurnedInAnnotation": "YES"}, (TEXT,)),
        ({"ConversionType": "DF"}, (HINT,)),
        ({"ConversionType": "DSI"}, ()),
        ({"Modality": "OT"}, (HINT,)),
    ],
)
def test_burned_in_warnings(
    tmp_path: Path, attributes: dict[str, Any], warnings: tuple[str, ...]
) -> None:
    assert decode(make_dicom(tmp_path / "x.dcm", **attributes)).warnings == warnings


def test_stated_burned_in_annotation_makes_an_unreadable_origin_irrelevant() -> None:
    dataset, tag = stating({"BurnedInAnnotation": "NO"}), Tag("ConversionType")
    no_such_vr = RawDataElement(tag, "ZZ", 2, b"DF", 0, False, True)
    dataset[tag] = no_such_vr
    assert burned_in_warnings(dataset) == []
    del dataset.BurnedInAnnotation
    with pytest.raises(RefusedError, match=r"Conversion Type .* cannot be read"):
        burned_in_warnings(dataset)
