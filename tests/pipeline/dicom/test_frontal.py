"""What tags may say of a frontal chest radiograph."""

import pytest

from pipeline.dicom.frontal import check_frontal
from pipeline.errors import RefusedError


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
def test_accepted(tags: dict[str, str]) -> None:
    check_frontal(tags)


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
def test_refused(tags: dict[str, str], words: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        check_frontal(tags)
    assert words in str(refusal.value)


@pytest.mark.parametrize("keyword", ["Modality", "BodyPartExamined"])
def test_a_name_typed_where_a_code_belongs_is_not_repeated(keyword: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        check_frontal({keyword: "JANE DOE"})
    assert "is not a term of the standard" in str(refusal.value)
    assert "DOE" not in str(refusal.value)
