"""Attributes that the pixel data overrule."""

from dataclasses import replace
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID

from pipeline.dicom.attributes import label
from pipeline.dicom.description import Description

_FIELDS: Final = {
    "SamplesPerPixel": "samples",
    "PhotometricInterpretation": "photometric",
    "PlanarConfiguration": "planar",
    "BitsAllocated": "allocated",
    "BitsStored": "stored",
    "HighBit": "high",
    "TransferSyntaxUID": "syntax",
}


def believe(description: Description, keyword: str, value: Any) -> Description:
    """Return the description with another value of an attribute, and a warning that names it."""
    if getattr(description, _FIELDS[keyword]) == value:
        return description
    fault = f"{label(keyword)} contradicts the pixel data"
    # The last belief about an attribute is the one that is told.
    others = [one for one in description.warnings if not one.startswith(fault)]
    warnings = (*others, f"{fault}: {_shown(value)} is read")
    changes = {_FIELDS[keyword]: value, "warnings": warnings}
    return replace(description, **changes)


def write_back(dataset: Dataset, description: Description, *, stated: Description) -> None:
    """Correct the data set's attributes: an image's row keeps those of its stored copy."""
    for keyword, field in _FIELDS.items():
        value = getattr(description, field)
        if value != getattr(stated, field):
            setattr(dataset if field != "syntax" else dataset.file_meta, keyword, value)


def _shown(value: Any) -> str:
    return value.name if isinstance(value, UID) else str(value)
