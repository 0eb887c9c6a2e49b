"""No refusal, warning, tag or stored copy repeats the text of an attribute that is read."""

import io
import re
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID

import pipeline
from pipeline.errors import RefusedError
from pipeline.limits import Limits
from pipeline.prepare.prepare import prepare_content
from pipeline.pseudonym import keyed_pseudonyms
from tests.support.data.builders import make_dataset, make_picture

NAME = "DOE JANE"  # fits every text, and code strings
IMAGE = make_picture(40, 40)


def keywords_in_source() -> list[str]:
    """Return every DICOM keyword that the code names, so that new ones are tried too."""
    (package,) = pipeline.__path__
    text = "".join(
        path.read_text()
        for room in ("dicom", "deidentify")
        for path in (Path(package) / room).rglob("*.py")
    )
    words = set(re.findall(r"\b[A-Z][A-Za-z]+\b", text))
    return sorted(word for word in words if tag_for_keyword(word) is not None)


def named(keyword: str, vr: str, value: Any) -> bytes:
    dataset = make_dataset(IMAGE, PatientName="", PatientID="")
    if vr == "SQ":
        item = Dataset()
        for word in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning", "LUTData"):
            item.add(DataElement(Tag(word), "LO", value))
        value = Sequence([item])
    dataset.pop(keyword, None)
    dataset.add(DataElement(Tag(keyword), vr, value))
    target = io.BytesIO()
    dataset.save_as(target, implicit_vr=False, little_endian=True)
    return target.getvalue()


def outcome_of(content: bytes) -> str:
    try:
        prepared = prepare_content(content, pseudonyms=keyed_pseudonyms(b"key"), limits=Limits())
    except RefusedError as refusal:
        return str(refusal)
    assert prepared.stored is not None
    blob = prepared.stored.blob.decode("latin-1")
    return f"{prepared.warnings} {prepared.tags} {blob}"


def test_source_names_the_attributes_that_reading_needs() -> None:
    assert {"Rows", "WindowCenter", "BodyPartExamined", "LUTData"} < set(keywords_in_source())


@pytest.mark.parametrize("vr", ["CS", "LO", "UN", "SQ"])
def test_text_in_any_attribute_is_not_repeated(vr: str) -> None:
    """Where a number, a code, a table or a sequence is expected, or free text."""
    for keyword in keywords_in_source():
        for value in (NAME, f"HAND {NAME}", f"CHEST {NAME}"):
            if keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
                continue  # any bytes there are pixels
            planted = value.ljust(16).encode() if vr == "UN" else value
            try:
                content = named(keyword, vr, planted)
            except (OSError, TypeError, ValueError, AttributeError):
                continue  # pydicom writes no such element
            assert "JANE" not in outcome_of(content), (keyword, value)


def test_text_in_meta_information_is_not_repeated() -> None:
    content = named("PatientComments", "LO", NAME)
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    dataset.file_meta.TransferSyntaxUID = UID(f"1.2.3.{NAME}")
    target = io.BytesIO()
    dataset.save_as(target, implicit_vr=False, little_endian=True, enforce_file_format=False)
    assert "JANE" not in outcome_of(target.getvalue())
