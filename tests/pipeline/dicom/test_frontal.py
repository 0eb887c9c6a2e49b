"""Tags of frontal chest radiographs, and warnings of burned-in text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DigitalXRayImageStorageForProcessing,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from pipeline.decode.decode import decode
from pipeline.dicom.frontal import (
    FACE,
    HINT,
    RAW,
    SYNTHETIC,
    TEST_IMAGE,
    TEXT,
    TagReading,
    burned_in_warnings,
    read_tags,
)
from pipeline.errors import RefusedError
from tests.support.data.builders import make_dicom


def stating(tags: Mapping[str, Any]) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def coded(value: str, scheme: str = "SCT", meaning: str = "") -> Dataset:
    stated = {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}
    return stating(stated)


def modified(view: str, modifier: str) -> Dataset:
    item = coded(view)
    item.ViewModifierCodeSequence = [coded(modifier)]
    return item


CHEST, HAND, RIB = coded("51185008"), coded("T-D8700", "SRT"), coded("T-11300", "SNM3")
CHEST_AND_ABDOMEN = coded("416550000")
LATERAL, FRONTAL = coded("R-10236", "SRT"), coded("272479007")
UNKNOWN = coded("DOE", "99DOE", "JANE DOE")
PRIVATE_LATERAL = coded("7", "99ACME", "Chest, left lateral")
PRIVATE_BOTH = coded("7", "99ACME", "Chest PA and lateral")


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"Modality": "CR"},
        {"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA"},
        {"Modality": "DX", "BodyPartExamined": "PORT CHEST", "ViewPosition": "AP"},
        {"Modality": "RF", "BodyPartExamined": "THORAX"},
        {"Modality": "OT", "BodyPartExamined": "CHEST"},
        {"BodyPartExamined": "UNKNOWN", "ViewPosition": "UNKNOWN"},
        {"BodyPartExamined": "CHEST1VIEW", "ViewPosition": "SUPINE"},
        {"BodyPartExamined": "THORAX DE FACE"},
        {"BodyPartExamined": "TORAX EN PIE"},
        {"PatientOrientation": "L\\F"},
        {"PatientOrientation": "F\\R"},
        # Some devices leave the orientation at one value.
        {"ViewPosition": "PA", "PatientOrientation": "A\\F"},
        {"ViewPosition": "AP PORTABLE"},
        {"ViewPosition": "PA UPRIGHT"},
        {"ViewPosition": "P.A."},
        {"ViewPosition": "AP AXIAL"},
        {"ViewPosition": "POSTERO-ANTERIOR"},
        {"ViewCodeSequence": [FRONTAL]},
        {"ViewCodeSequence": [modified("399348003", "399196006")]},  # tube angled
        {"ViewCodeSequence": []},
        {"AnatomicRegionSequence": [CHEST]},
        {"PrimaryAnatomicStructureSequence": [RIB]},
        {"AnatomicRegionSequence": [CHEST], "PrimaryAnatomicStructureSequence": [HAND]},
        {"SeriesDescription": "Chest PA and lateral"},
        {"StudyDescription": "Hand, lateral"},  # of the study, not of this image
        {"ViewPosition": "PA", "SeriesDescription": "lateral"},
        {"BodyPartExamined": "CHEST", "SeriesDescription": "hand"},
        {"SeriesDescription": "Main"},
    ],
)
def test_read_tags_accepts_without_a_warning(tags: dict[str, Any]) -> None:
    reading = read_tags(stating(tags))
    assert (reading.warnings, reading.unknown_terms) == ([], {})


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Modality": "CT", "BodyPartExamined": "CHEST"}, "Modality (0008,0060) is CT"),
        ({"Modality": "OT"}, "Modality (0008,0060) is OT"),
        ({"Modality": "OT", "BodyPartExamined": "SNARK"}, "Modality (0008,0060) is OT"),
        ({"Modality": "MG"}, "Modality (0008,0060) is MG"),
        ({"BodyPartExamined": "EXTREMITY"}, "is EXTREMITY, expected CHEST"),
        ({"BodyPartExamined": "THORACIC SPINE"}, "is SPINE, expected CHEST"),
        ({"BodyPartExamined": "UP_EXM"}, "is ARM, expected CHEST"),
        ({"BodyPartExamined": "HANDAP"}, "is HAND, expected CHEST"),
        ({"BodyPartExamined": "LHAND"}, "is HAND, expected CHEST"),
        ({"BodyPartExamined": "LOWER LIMB"}, "is EXTREMITY, expected CHEST"),
        ({"BodyPartExamined": "CHESTLAT"}, "a lateral view: Body Part Examined (0018,0015) is LAT"),
        ({"ViewPosition": "LL"}, "a lateral view: View Position (0018,5101) is LL"),
        ({"ViewPosition": "LLD"}, "a decubitus view: View Position (0018,5101) is LLD"),
        ({"ViewPosition": "LATERAL DECUBITUS"}, "a lateral view"),
        ({"ViewPosition": "LATERAL"}, "reads frontal views only"),
        ({"ViewPosition": "LATERAL CHEST"}, "a lateral view: View Position (0018,5101)"),
        ({"ViewPosition": "LEFT LATERAL"}, "a lateral view"),
        ({"ViewPosition": "CHESTLAT"}, "a lateral view"),
        ({"ViewPosition": "LL/RL"}, "a lateral view"),
        ({"ViewPosition": ["PA", "LL"]}, "a lateral view"),
        ({"ViewPosition": "RAO"}, "an oblique view"),
        ({"ViewPosition": "PA OBLIQUE"}, "an oblique view"),
        ({"ViewPosition": "TANGENTIAL"}, "a tangential view"),
        ({"ViewPosition": "AXIAL"}, "an axial view"),
        ({"ViewCodeSequence": [LATERAL]}, "a lateral view: View Code Sequence (0054,0220)"),
        ({"ViewCodeSequence": [coded("399067008")]}, "a lateral view"),
        ({"ViewCodeSequence": [coded("399067008", "")]}, "a lateral view"),
        ({"ViewCodeSequence": [PRIVATE_LATERAL]}, "a lateral view"),
        ({"ViewCodeSequence": [FRONTAL, LATERAL]}, "a lateral view"),
        ({"ViewCodeSequence": [modified("399348003", "399067008")]}, "View Modifier Code"),
        (
            {"ViewPosition": "PA", "ViewCodeSequence": [LATERAL]},
            "View Code Sequence (0054,0220) is lateral though View Position (0018,5101) is PA",
        ),
        ({"PatientOrientation": "A\\F"}, "a lateral view: Patient Orientation"),
        ({"PatientOrientation": "H\\P"}, "a lateral view: Patient Orientation"),
        ({"PatientOrientation": "L\\P"}, "an axial view: Patient Orientation"),
        ({"AnatomicRegionSequence": [HAND]}, "Anatomic Region Sequence (0008,2218) is HAND"),
        ({"AnatomicRegionSequence": [coded("7", "99ACME", "Hand")]}, "is HAND"),
        ({"PrimaryAnatomicStructureSequence": [HAND]}, "Primary Anatomic Structure Sequence"),
        (
            {"BodyPartExamined": "CHEST", "AnatomicRegionSequence": [HAND]},
            "is HAND though Body Part Examined (0018,0015) is CHEST",
        ),
        ({"SeriesDescription": "Chest lat."}, "a lateral view: Series Description (0008,103E)"),
        ({"ProtocolName": "Thorax seitlich"}, "a lateral view: Protocol Name (0018,1030)"),
        ({"AcquisitionDeviceProcessingDescription": "HAND"}, "is HAND"),
    ],
)
def test_read_tags_refuses(tags: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        read_tags(stating(tags))
    assert words in str(refusal.value)


PART, VIEW = "Body Part Examined (0018,0015) ", "View Position (0018,5101) "


@pytest.mark.parametrize(
    ("tags", "warning", "unknown"),
    [
        ({"BodyPartExamined": "POITRINE"}, PART + "is a local word for the chest", True),
        ({"BodyPartExamined": "CHESTPAERECT"}, PART + "is a local word for the chest", True),
        ({"BodyPartExamined": "RTG KLP"}, PART + "is a local word for the chest", True),
        ({"BodyPartExamined": "SNARK"}, PART + "is not a known term; judged by the image", True),
        ({"BodyPartExamined": "Göğüs é"}, PART + "is a local word for the chest", False),
        ({"BodyPartExamined": "TORSO"}, PART + "names more than the chest", False),
        ({"BodyPartExamined": "BABYGRAM"}, PART + "names more than the chest", False),
        ({"BodyPartExamined": "CHESTABDOMEN"}, PART + "names more than the chest", False),
        ({"ViewPosition": "SNARK"}, VIEW + "is not a known term; judged by the image", True),
        (
            {"AnatomicRegionSequence": [CHEST_AND_ABDOMEN]},
            "Anatomic Region Sequence (0008,2218) names more than the chest",
            False,
        ),
        (
            {"AnatomicRegionSequence": [CHEST, coded("113345001")]},
            "Anatomic Region Sequence (0008,2218) names more than the chest",
            False,
        ),
        (
            {"AnatomicRegionSequence": [UNKNOWN]},
            "Anatomic Region Sequence (0008,2218) has no known code; judged by the image",
            False,
        ),
        (
            {"ViewCodeSequence": [PRIVATE_BOTH, UNKNOWN]},
            "View Code Sequence (0054,0220) has no known code; judged by the image",
            False,
        ),
        (
            {"ViewCodeSequence": [modified("7", "399196006")]},  # the tube's angle is no view
            "View Code Sequence (0054,0220) has no known code; judged by the image",
            False,
        ),
        ({"PresentationIntentType": "FOR PROCESSING"}, RAW, False),
        ({"SOPClassUID": DigitalXRayImageStorageForProcessing}, RAW, False),
        ({"QualityControlImage": "YES"}, TEST_IMAGE.format("YES"), False),
        ({"SyntheticData": "YES"}, SYNTHETIC, False),
    ],
)
def test_read_tags_warns(tags: dict[str, Any], warning: str, unknown: bool) -> None:
    reading = read_tags(stating(tags))
    assert reading.warnings == [warning]
    assert reading.unknown_terms == (tags if unknown else {})


@pytest.mark.parametrize("keyword", ["BodyPartExamined", "ViewPosition"])
def test_words_of_the_installation_outweigh_the_table(keyword: str) -> None:
    dataset = stating({keyword: "SNARK"})
    assert read_tags(dataset, {keyword: {"SNARK": True}}) == TagReading()
    with pytest.raises(RefusedError, match="on this service's list of other words"):
        read_tags(dataset, {keyword: {"SNARK": False}})


@pytest.mark.parametrize(
    ("characters", "encoding"),
    [("ISO_IR 101", "iso8859-2"), ("ISO_IR 192", "utf-8"), ("", "utf-8"), ("SNARK", "utf-8")],
)
def test_code_strings_in_other_characters_are_read(characters: str, encoding: str) -> None:
    dataset = Dataset()
    dataset.SpecificCharacterSet = characters
    value = "DŁOŃ".encode(encoding)
    tag = Tag("BodyPartExamined")
    dataset[tag] = RawDataElement(tag, "CS", len(value), value, 0, False, True)
    with pytest.raises(RefusedError, match="is HAND"):
        read_tags(dataset)


def test_region_of_an_enhanced_image_is_read() -> None:
    groups, anatomy = Dataset(), Dataset()
    anatomy.AnatomicRegionSequence = [HAND]
    groups.FrameAnatomySequence = [anatomy]
    with pytest.raises(RefusedError, match="is HAND"):
        read_tags(stating({"SharedFunctionalGroupsSequence": [groups]}))


def test_refusal_and_warning_repeat_no_name() -> None:
    with pytest.raises(RefusedError) as refusal:
        read_tags(stating({"Modality": "JANE DOE"}))
    assert "is not a term of the standard" in str(refusal.value)
    named = {"BodyPartExamined": "JANE DOE", "ViewPosition": "JANE DOE"}
    sequences = {"AnatomicRegionSequence": [UNKNOWN], "ViewCodeSequence": [UNKNOWN]}
    reading = read_tags(stating({**named, **sequences}))
    assert len(reading.warnings) == 4
    assert "DOE" not in f"{refusal.value} {reading.warnings}"


def test_unreadable_sequence_costs_no_image() -> None:
    dataset, tag = Dataset(), Tag("ViewCodeSequence")
    dataset[tag] = RawDataElement(tag, "SQ", 6, b"\xfe\xff\x00\xe0\xff\xff", 0, False, True)
    assert read_tags(dataset).warnings == []


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
