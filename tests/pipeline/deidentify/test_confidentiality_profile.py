"""The de-identification, attribute by attribute, against the Basic Profile (PS3.15 annex E)."""

import io
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from pipeline.deidentify.attributes import NUMBERS, PIXELS, UIDS, kept_attributes
from pipeline.dicom.attributes import TAGS
from pipeline.errors import RefusedError
from pipeline.pseudonym import patient_pseudonym, pseudonymous_uid
from pipeline.types import Deidentified
from tests.support.data.builders import make_dataset, make_picture, save_dicom
from tests.support.imaging.confidentiality_profile import REPEATING, profile
from tests.support.imaging.deidentified import KEY, deidentified, deidentified_dataset
from tests.support.imaging.identifying_values import NAME, TRACES, UID, identifying_element

PROFILE = profile()
NOT_IN_A_DATA_SET = (0x0000, 0x0002, 0x0004)  # commands, meta information, media directories
IMAGE = make_picture(32, 32)


def clean_base() -> Dataset:
    return make_dataset(IMAGE, PatientName="", PatientID="", StudyInstanceUID="1.2.3")


def written(dataset: Dataset, folder: Path) -> bytes:
    save_dicom(folder / "x.dcm", dataset)
    return (folder / "x.dcm").read_bytes()


def read(result: Deidentified) -> Dataset:
    return pydicom.dcmread(io.BytesIO(result.blob))


def is_allowed(action: str, keyword: str, kept: Dataset) -> bool:
    """Whether what is left of an attribute is what the profile asks for."""
    if keyword not in kept:
        return True  # removed: any action's first choice where no type asks for more
    value = kept[keyword].value
    if "U" in action:
        return bool(value == pseudonymous_uid(KEY, UID))
    if keyword == "PatientID":
        return bool(value == patient_pseudonym(KEY, NAME))
    return "Z" in action and not value


def test_profile_table_is_complete() -> None:
    assert len(PROFILE) == 617
    assert len(REPEATING) == 3
    assert all(tag_for_keyword(keyword) for keyword in PROFILE)
    assert not any("Z" in PROFILE[keyword] or "K" in PROFILE[keyword] for keyword in UIDS)


def test_every_attribute_of_the_profile_is_handled(tmp_path: Path) -> None:
    in_data_sets = [
        keyword
        for keyword in PROFILE
        if Tag(tag_for_keyword(keyword)).group not in NOT_IN_A_DATA_SET
    ]
    assert len(in_data_sets) == 613
    wrong: list[object] = []
    for start in range(0, len(in_data_sets), 25):
        keywords = in_data_sets[start : start + 25]
        dataset = clean_base()
        for keyword in keywords:
            dataset.add(identifying_element(tag_for_keyword(keyword), dictionary_VR(keyword)))
        content = written(dataset, tmp_path)
        assert any(trace in content for trace in TRACES)
        result = deidentified(content)
        kept = read(result)
        wrong += [one for one in keywords if not is_allowed(PROFILE[one], one, kept)]
        wrong += [trace for trace in TRACES if trace in result.blob]
    assert wrong == []


@pytest.mark.parametrize("element", REPEATING.values(), ids=REPEATING)
@pytest.mark.parametrize("number", [0x00, 0x02, 0x1E])
def test_repeating_groups_are_removed(
    element: tuple[int, int], number: int, tmp_path: Path
) -> None:
    tag = Tag(element[0] + number, element[1])
    dataset = clean_base()
    dataset.add(identifying_element(tag, "OW" if element[1] == 0x3000 else "LT"))
    content = written(dataset, tmp_path)
    assert NAME.encode() in content
    result = deidentified(content)
    assert NAME.encode() not in result.blob
    assert tag not in read(result)


def whole_dictionary(*, except_for: set[str]) -> Dataset:
    """Every attribute that the data dictionary knows, retired ones too."""
    dataset = Dataset()
    for number, (vr, *_) in DicomDictionary.items():
        tag = Tag(number)
        keyword = keyword_for_tag(tag)
        is_data = tag.group not in (*NOT_IN_A_DATA_SET, 0xFFFE)  # FFFE: sequence delimiters
        if is_data and vr != "NONE" and keyword not in except_for | {"SpecificCharacterSet"}:
            dataset.add(identifying_element(tag, vr))
    return dataset


def test_other_attributes_of_the_dictionary_are_removed(tmp_path: Path) -> None:
    """Those of the profile also within a private sequence and within a kept one."""
    kept_ones = set(kept_attributes())
    dataset = clean_base()
    everything = whole_dictionary(except_for=kept_ones)
    assert len(everything) > 4500
    dataset.update(everything)
    item = Dataset()
    for keyword in set(PROFILE) - kept_ones:
        item.add(identifying_element(tag_for_keyword(keyword), dictionary_VR(keyword)))
    dataset.private_block(0x0013, NAME, create=True).add_new(0x01, "SQ", Sequence([item]))
    table = Dataset()
    table.update(item)
    table.LUTDescriptor, table.LUTData = [256, 0, 8], bytes(range(256)) * 2
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW"
    dataset.VOILUTSequence = Sequence([table])
    result = deidentified(written(dataset, tmp_path))
    assert not [trace for trace in TRACES if trace in result.blob]
    kept = read(result)
    assert not {element.keyword for element in kept} - kept_ones
    assert {element.keyword for element in kept.VOILUTSequence[0]} == {"LUTDescriptor", "LUTData"}


def test_text_in_place_of_a_kept_value_is_dropped(tmp_path: Path) -> None:
    """Files state each value's VR themselves, so any attribute may contain text."""
    tried = 0
    for keyword in set(kept_attributes()) - set(PIXELS):  # any bytes there are pixels
        for vr in ("LO", "UT", "SQ"):
            dataset = clean_base()
            dataset.pop(keyword, None)
            dataset.add(identifying_element(tag_for_keyword(keyword), vr))
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
    for keyword, kind in NUMBERS.items():
        if kind.vr in ("DS", "IS"):
            dataset = clean_base()
            dataset.add_new(Tag(tag_for_keyword(keyword)), "LO", ["1"] * kind.count + [NAME])
            content = written(dataset, tmp_path)
            assert NAME.encode() in content
            assert NAME.encode() not in deidentified(content).blob, keyword


def test_identifiers_become_pseudonyms_of_the_key(tmp_path: Path) -> None:
    dataset = clean_base()
    dataset.PatientID = NAME
    for keyword in UIDS:
        setattr(dataset, keyword, UID)
    content = written(dataset, tmp_path)
    first, again, keyed = (deidentified_dataset(content, key=k) for k in (KEY, KEY, b"another key"))
    for keyword in (*UIDS, "PatientID"):
        assert first[keyword].value == again[keyword].value, keyword
        assert first[keyword].value != keyed[keyword].value, keyword
    meta = first.file_meta
    assert meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID == pseudonymous_uid(KEY, UID)


def test_method_is_stated(tmp_path: Path) -> None:
    kept = deidentified_dataset(written(clean_base(), tmp_path))
    assert kept.PatientIdentityRemoved == "YES"
    assert kept.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert kept.LongitudinalTemporalInformationModified == "REMOVED"
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "AccessionNumber"):
        assert kept[keyword].value == "", keyword


def test_every_kept_attribute_has_a_reason() -> None:
    reasons = kept_attributes()
    assert all(len(reason) > 5 for reason in reasons.values())
    assert all(tag_for_keyword(keyword) for keyword in reasons)
    in_profile = {keyword for keyword in reasons if keyword in PROFILE}
    may_stay = {"Z", "Z/D", "U"}
    assert {PROFILE[keyword] for keyword in in_profile} <= may_stay
