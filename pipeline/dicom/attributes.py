"""The short list of attributes that readers see, and how values are read from a data set."""

import re
from typing import Any

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_description, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from pipeline.dicom.vocabulary.terms import AGE, TAGS, defined_term
from pipeline.errors import damaged, too_large

# Bytes of a sequence that is read: a table of 65536 words and its description. A million empty
# items would take a minute.
_LONGEST_SEQUENCE = 2**18

# Code strings (PS3.5 6.2, VR CS). Anything else in these attributes is free text, which may
# name the patient.
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}(\\[A-Z0-9_ ]{1,16})*")
_OLDEST_YEARS = 89  # older ages are rare enough to identify a person: 45 CFR 164.514(b)(2)(i)(C)


def kept_tags(dataset: Dataset) -> dict[str, str]:
    """Return the attributes of `TAGS` that have a usable value, by keyword.

    Code strings are kept, in upper case, if they are defined terms (see `vocabulary.terms`);
    several values are joined by a backslash.
    """
    tags = {keyword: term(dataset, keyword) for keyword in TAGS if keyword != "PatientAge"}
    tags["PatientAge"] = age(dataset)
    return {keyword: value for keyword, value in tags.items() if value}


def term(dataset: Dataset, keyword: str) -> str:
    """Return a defined term of the attribute, or ""."""
    return defined_term(keyword, code(dataset, keyword))


def code(dataset: Dataset, keyword: str) -> str:
    """Return any code string in upper case, or ""."""
    value = raw_value(dataset, keyword)
    parts = value if isinstance(value, (MultiValue, list)) else [value]
    text = "\\".join(str(part or "").strip().upper() for part in parts)
    return text if _CODE.fullmatch(text) else ""


def age(dataset: Dataset) -> str:
    """Return Patient's Age (VR AS), ages above 89 years as 090Y, or ""."""
    match = AGE.fullmatch(str(raw_value(dataset, "PatientAge") or "").strip())
    if not match:
        return ""
    if match[2] == "Y" and int(match[1]) > _OLDEST_YEARS:
        return f"{_OLDEST_YEARS + 1:03d}Y"
    return match[0]


def text(dataset: Dataset, keyword: str) -> str:
    value = raw_value(dataset, keyword)
    return "" if value is None else _decoded(str(value), dataset, keyword).strip().strip("\0")


def _decoded(value: str, dataset: Dataset, keyword: str) -> str:
    """Return a value in the characters of its file, or in UTF-8.

    Code strings have none but ASCII (PS3.5 6.2); pydicom takes what devices write for Latin-1.
    """
    if value.isascii() or dictionary_VR(keyword) != "CS":
        return value
    try:
        stored = value.encode("latin-1")
        return stored.decode()
    except UnicodeEncodeError:
        return value
    except UnicodeDecodeError:
        stated = str(dataset.get("SpecificCharacterSet") or "")
        return stored.decode(python_encoding.get(stated, "latin-1"), "replace")


def label(keyword: str) -> str:
    """Return an attribute's name and tag, e.g. `Rows (0028,0010)`."""
    return f"{dictionary_description(keyword)} {str(Tag(keyword)).replace(' ', '')}"


def raw_value(dataset: Dataset, keyword: str) -> Any:
    """Return an attribute's value, None if it is missing or a sequence in place of a value.

    pydicom parses on access, and its errors quote the value, which may be patient data: they
    become a RefusedError without it.
    """
    is_sequence = dictionary_VR(keyword) == "SQ"
    unparsed = dataset.get_item(keyword) if is_sequence and keyword in dataset else None
    if isinstance(unparsed, RawDataElement) and len(unparsed.value or b"") > _LONGEST_SEQUENCE:
        raise too_large(f"{label(keyword)} is too long")
    try:
        value = dataset.get(keyword)
    except Exception:
        raise damaged(f"{label(keyword)} cannot be read") from None
    # Files state each value's VR, which may contradict the dictionary's.
    return value if isinstance(value, Sequence) == is_sequence else None
