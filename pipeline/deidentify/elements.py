"""The attributes of pixels and grey levels as they were read, so that a copy is read alike."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.valuerep import DSfloat

from pipeline.deidentify.attributes import SPACINGS
from pipeline.dicom.description import Description
from pipeline.dicom.lut import COLOURS, LookUpTable, packed_palette
from pipeline.dicom.tags import Tags

Numbers = dict[str, Sequence[float]]

_GREATEST_FL: Final = 3.4028234663852886e38
# VRs by what they hold, the standard's first (PS3.3 C.7.5.1.1.2); files state each value's VR.
_STORED_VALUES: Final = {
    "US": range(2**16),
    "SS": range(-(2**15), 2**15),
    "UL": range(2**32),
    "SL": range(-(2**31), 2**31),
}
_GREATEST_TERM: Final = 10_000  # of an aspect ratio


def image_elements(dataset: Dataset, description: Description) -> list[DataElement]:
    """Return what describes the image: numbers, tables and defined terms, no text."""
    numbers = _pixels(dataset, description) | _grey_levels(description)
    numbers |= _sizes(dataset, description)
    elements = [_element(keyword, values) for keyword, values in numbers.items()]
    elements.append(_code("PhotometricInterpretation", description.photometric))
    if description.function != "LINEAR":
        elements.append(_code("VOILUTFunction", description.function))
    if table := description.modality_table:
        elements.append(_table("ModalityLUTSequence", table))
    if table := description.voi_table:
        elements.append(_table("VOILUTSequence", table))
    if palette := description.palette:
        elements += _palette(palette)
    return elements


def _pixels(dataset: Dataset, description: Description) -> Numbers:
    """PS3.3 C.7.6.3, C.7.6.6 and C.7.6.24."""
    numbers: Numbers = {
        "SamplesPerPixel": [description.samples],
        "Rows": [description.rows],
        "Columns": [description.columns],
        "BitsAllocated": [description.allocated],
    }
    if description.samples > 1:
        numbers["PlanarConfiguration"] = [description.planar]
    if description.frames > 1 or "NumberOfFrames" in dataset:
        numbers["NumberOfFrames"] = [description.frames]
    if description.keyword == "PixelData":
        numbers["BitsStored"] = [description.stored]
        numbers["HighBit"] = [description.high]
        numbers["PixelRepresentation"] = [int(description.is_signed)]
    return numbers


def _grey_levels(description: Description) -> Numbers:
    """PS3.3 C.7.5.1.1.2, C.11.1 and C.11.2; windows that cannot be read are left out."""
    numbers: Numbers = {}
    if description.padding is not None:
        low, high = description.padding
        kind = description.keyword.removesuffix("Data")
        numbers[f"{kind}PaddingValue"] = [low]
        if high != low:
            numbers[f"{kind}PaddingRangeLimit"] = [high]
    if (description.slope, description.intercept) != (1, 0):
        numbers["RescaleSlope"] = [description.slope]
        numbers["RescaleIntercept"] = [description.intercept]
    windows = [w for w in description.windows if math.isfinite(w.centre) and math.isfinite(w.width)]
    if windows:
        numbers["WindowCenter"] = [window.centre for window in windows]
        numbers["WindowWidth"] = [window.width for window in windows]
    return numbers


def _sizes(dataset: Dataset, description: Description) -> Numbers:
    """Proportions and sizes of pixels: PS3.3 C.7.6.3.1.7, 10.7.1.3 and C.8.11.4."""
    numbers: Numbers = {}
    tags = Tags(dataset)
    for keyword in SPACINGS:
        sizes = tags.numbers(keyword)
        if len(sizes) == 2 and all(size > 0 for size in sizes):
            numbers[keyword] = sizes
    if "PixelAspectRatio" in dataset or (description.pixel_aspect != 1 and not numbers):
        ratio = Fraction(description.pixel_aspect).limit_denominator(_GREATEST_TERM)
        numbers["PixelAspectRatio"] = [ratio.numerator, ratio.denominator]
    return numbers


def _element(keyword: str, values: Sequence[float]) -> DataElement:
    vr, written = dictionary_VR(keyword), list[Any](values)
    if vr == "DS":
        written = [DSfloat(value, auto_format=True) for value in values]
    elif vr == "US or SS":
        (value,) = values
        is_whole = float(value).is_integer()
        vr = next(
            (vr for vr, held in _STORED_VALUES.items() if is_whole and int(value) in held), "FD"
        )
    elif vr == "FL" and max(map(abs, values)) > _GREATEST_FL:
        vr = "FD"
    if vr not in ("DS", "FL", "FD"):
        written = [int(value) for value in values]
    return DataElement(Tag(keyword), vr, written if len(written) > 1 else written[0])


def _code(keyword: str, value: str) -> DataElement:
    return DataElement(Tag(keyword), "CS", value)


def _table(keyword: str, table: LookUpTable) -> DataElement:
    """Return a Modality or VOI LUT Sequence (PS3.3 C.11.1, C.11.2) with one table.

    Entries are rewritten with 16 bits each; bytes after them and explanations are dropped.
    """
    item = Dataset()
    vr = "SS" if table.first < 0 else "US"
    descriptor = [len(table.entries) % 2**16, table.first, table.bits]
    item.add(DataElement(Tag("LUTDescriptor"), vr, descriptor))
    entries = table.entries.astype("<u2").tobytes()
    item.add(DataElement(Tag("LUTData"), "OW", entries))
    if keyword == "ModalityLUTSequence":
        item.ModalityLUTType = "US"  # required (PS3.3 C.11.1); US stands for unspecified
    return DataElement(Tag(keyword), "SQ", Items([item]))


def _palette(palette: LookUpTable) -> list[DataElement]:
    """Return the colour tables (PS3.3 C.7.6.3.1.5) of a PALETTE COLOR image."""
    descriptor, tables = packed_palette(palette)
    elements = []
    for colour, table in zip(COLOURS, tables, strict=True):
        keyword = f"{colour}PaletteColorLookupTable"
        elements.append(DataElement(Tag(f"{keyword}Descriptor"), "US", descriptor))
        elements.append(DataElement(Tag(f"{keyword}Data"), "OW", table))
    return elements
