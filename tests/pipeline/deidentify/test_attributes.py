"""The de-identification, attribute by attribute, against the Basic Profile (PS3.15 annex E)."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from pipeline.deidentify.attributes import CODES, EMPTY, NUMBERS, READ_CODES, TABLES, UIDS
from pipeline.dicom.vocabulary.terms import TAGS, TERMS
from pipeline.errors import RefusedError
from pipeline.pseudonym import patient_pseudonym, pseudonymous_uid
from tests.support.data.builders import make_dataset, make_lut, make_picture, save_dicom
from tests.support.imaging.deidentified import KEY, deidentified, deidentified_dataset

IMAGE = make_picture(32, 32)
# Further attributes that a stored file may have.
COLOURS = {
    f"{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue")
    for part in ("Descriptor", "Data")
}
PIXELS = {"PixelData", "FloatPixelData", "DoubleFloatPixelData"}
WRITTEN = {
    *("SOPClassUID", "PatientID", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified"),
}
OF_THE_IMAGE = {*NUMBERS, *READ_CODES, *CODES, *TABLES, *COLOURS, *PIXELS}
KEPT = {*OF_THE_IMAGE, *UIDS, *EMPTY, *WRITTEN}

# Values that name an invented patient, one for each VR (PS3.5 6.2).
NAME, UID, DATE = "Plantedperson", "1.2.826.0.1.3680043.42424242.777", "19430217"
BY_VR: dict[str, Any] = {
    **{"AE": NAME, "AS": "042Y", "AT": 0x4D454D45, "CS": NAME.upper(), "DA": DATE},
    **{"DS": "424242.777", "DT": f"{DATE}031415", "FD": 424242.777, "FL": 424242.0},
    **{"IS": "42424242", "PN": f"{NAME}^Invented", "SL": -424242424, "SS": -31313},
    **{"SV": -42424242424242, "TM": "031415.926535", "UI": UID, "UL": 4242424242},
    **{"UR": f"https://{NAME}.invalid/", "US": 31313, "UV": 42424242424242},
    **dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UT"), NAME),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), 4 * f"{NAME}-".encode()),
}
# As bytes in a file; numbers of a few bytes are left out, since they occur by chance.
TRACES = [
    word.encode()
    for word in (NAME, NAME.upper(), UID, DATE, "424242.777", "42424242", "031415.926535")
]


def identifying(tag: int, vr: str) -> DataElement:
    """Return an element that names the patient; of several VRs the first that can."""
    kind = vr.split(" or ")[0]
    if kind != "SQ":
        return DataElement(tag, kind, BY_VR[kind])
    item = Dataset()
    item.PatientName = NAME
    item.private_block(0x0011, NAME, create=True).add_new(0x01, "LO", NAME)
    return DataElement(tag, "SQ", Sequence([item]))


def clean_base() -> Dataset:
    return make_dataset(IMAGE, PatientName="", PatientID="", StudyInstanceUID="1.2.3")


def written(dataset: Dataset, folder: Path) -> bytes:
    return save_dicom(folder / "x.dcm", dataset).read_bytes()


def whole_dictionary(*, except_for: set[str]) -> Dataset:
    """Every attribute that the data dictionary knows, retired ones too."""
    dataset = Dataset()
    for number, (vr, *_) in DicomDictionary.items():
        tag = Tag(number)
        # Not commands, meta information, media directories and sequence delimiters.
        is_data = tag.group not in (0x0000, 0x0002, 0x0004, 0xFFFE)
        if is_data and vr != "NONE" and keyword_for_tag(tag) not in except_for:
            dataset.add(identifying(tag, vr))
    return dataset


def test_only_what_describes_the_image_is_kept_as_it_is() -> None:
    """The profile names none of these: numbers and tables of the image, and defined terms."""
    keywords = {*NUMBERS, *TABLES} - {"ImagerPixelSpacing", "NominalScannedPixelSpacing"}
    assert {Tag(tag_for_keyword(keyword)).group for keyword in keywords} == {0x0028}
    assert {*CODES, *READ_CODES} - {"PatientOrientation"} <= TERMS.keys() - {"PatientSex"}


def test_no_attribute_of_the_dictionary_leaves_a_trace(tmp_path: Path) -> None:
    """Those of the image are tried below; none of them is the profile's (table E.1-1)."""
    dataset = clean_base()
    everything = whole_dictionary(except_for=OF_THE_IMAGE | {"SpecificCharacterSet"})
    assert len(everything) > 4500
    dataset.update(everything)
    content = written(dataset, tmp_path)
    assert all(trace in content for trace in TRACES)
    assert not [trace for trace in TRACES if trace in deidentified(content).blob]
    kept = deidentified_dataset(content)
    assert not {element.keyword for element in kept} - KEPT
    assert [kept[keyword].value for keyword in EMPTY] == [""] * len(EMPTY)  # profile: Z
    assert {kept[keyword].value for keyword in UIDS} == {pseudonymous_uid(KEY, UID)}  # profile: U
    assert kept.PatientID == patient_pseudonym(KEY, NAME, issuer=NAME)  # profile: Z/D
    assert kept.PatientIdentityRemoved == "YES"
    assert kept.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert kept.LongitudinalTemporalInformationModified == "REMOVED"


def test_attributes_within_sequences_are_removed(tmp_path: Path) -> None:
    """Within a private sequence and within a kept one."""
    item = whole_dictionary(except_for={"SpecificCharacterSet", "LUTDescriptor", "LUTData"})
    dataset = clean_base()
    dataset.private_block(0x0013, NAME, create=True).add_new(0x01, "SQ", Sequence([item]))
    table = make_lut(np.arange(256), first=0, bits=8)
    table.update(item)
    dataset.VOILUTSequence = [table]
    content = written(dataset, tmp_path)
    assert not [trace for trace in TRACES if trace in deidentified(content).blob]
    kept = deidentified_dataset(content)
    assert not {element.keyword for element in kept} - KEPT
    assert {element.keyword for element in kept.VOILUTSequence[0]} == {"LUTDescriptor", "LUTData"}


@pytest.mark.parametrize("number", [0x00, 0x02, 0x1E])
@pytest.mark.parametrize(
    ("group", "element", "vr"),
    [(0x5000, 0x3000, "OW"), (0x6000, 0x3000, "OW"), (0x6000, 0x4000, "LT")],
    ids=["curve", "overlay", "comments"],
)
def test_repeating_groups_are_removed(
    group: int, element: int, vr: str, number: int, tmp_path: Path
) -> None:
    tag = Tag(group + number, element)
    dataset = clean_base()
    dataset.add(identifying(tag, vr))
    content = written(dataset, tmp_path)
    assert NAME.encode() in content
    assert NAME.encode() not in deidentified(content).blob
    assert tag not in deidentified_dataset(content)


def test_text_in_place_of_a_kept_value_is_dropped(tmp_path: Path) -> None:
    """Files state each value's VR themselves, so any attribute may contain text."""
    tried = 0
    for keyword in KEPT - PIXELS:  # any bytes there are pixels
        for vr in ("LO", "UT", "SQ"):
            dataset = clean_base()
            dataset.pop(keyword, None)
            dataset.add(identifying(Tag(tag_for_keyword(keyword)), vr))
            try:
                content = written(dataset, tmp_path)
            except (OSError, TypeError):
                continue  # pydicom cannot write such a file
            assert NAME.encode() in content
            with suppress(RefusedError):
                assert NAME.encode() not in deidentified(content).blob, (keyword, vr)
            tried += 1
    assert tried > 100


def test_names_spelled_as_code_strings_are_dropped(tmp_path: Path) -> None:
    for keyword in set(TAGS) - {"PatientAge"}:
        dataset = clean_base()
        setattr(dataset, keyword, ["CR", "JANE DOE"] if keyword == "Modality" else "JANE DOE CHEST")
        content = written(dataset, tmp_path)
        assert b"JANE DOE" in content
        assert b"DOE" not in deidentified(content).blob, keyword


def test_numbers_after_the_first_are_dropped(tmp_path: Path) -> None:
    for keyword in NUMBERS:
        if dictionary_VR(keyword) in ("DS", "IS"):
            dataset = clean_base()
            dataset.add_new(Tag(tag_for_keyword(keyword)), "LO", ["1", "1", NAME])
            content = written(dataset, tmp_path)
            assert NAME.encode() in content
            assert NAME.encode() not in deidentified(content).blob, keyword


def test_identifiers_depend_on_the_key(tmp_path: Path) -> None:
    content = written(make_dataset(IMAGE), tmp_path)
    first, again, keyed = (deidentified_dataset(content, key=k) for k in (KEY, KEY, b"another key"))
    for keyword in (*UIDS, "PatientID"):
        assert first[keyword].value == again[keyword].value, keyword
        assert first[keyword].value != keyed[keyword].value, keyword
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
