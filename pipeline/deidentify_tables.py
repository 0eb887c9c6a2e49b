"""Look-up tables of a data set, their numbers only."""

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from pipeline.dicom_tags import term
from pipeline.grey_scale import read_table
from pipeline.palette import COLOURS, packed, read_palette


def clean_table(dataset: Dataset, keyword: str) -> DataElement | None:
    """Return a Modality or VOI LUT Sequence (PS3.3 C.11.1, C.11.2) with its first table.

    Entries are written anew as 16 bits each; what stands behind them is dropped, and so is
    what the table says of itself in words. None where there is none. Raises RefusedError.
    """
    table = read_table(dataset, keyword)
    if table is None:
        return None
    item = Dataset()
    vr = "SS" if table.first < 0 else "US"
    descriptor = [len(table.entries) % 2**16, table.first, table.bits]
    item.add(DataElement(Tag("LUTDescriptor"), vr, descriptor))
    order = "<u2" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">u2"
    item.add(DataElement(Tag("LUTData"), "OW", table.entries.astype(order).tobytes()))
    if keyword == "ModalityLUTSequence":
        item.ModalityLUTType = "US"  # required (PS3.3 C.11.1); US stands for unspecified
    return DataElement(Tag(keyword), "SQ", Sequence([item]))


def clean_palette(dataset: Dataset) -> list[DataElement | None]:
    """Return the colour tables (PS3.3 C.7.6.3.1.5) of a PALETTE COLOR picture, none of others."""
    if term(dataset, "PhotometricInterpretation") != "PALETTE COLOR":
        return []
    descriptor, tables = packed(read_palette(dataset), dataset)
    found: list[DataElement | None] = []
    for colour, table in zip(COLOURS, tables, strict=True):
        keyword = f"{colour}PaletteColorLookupTable"
        found.append(DataElement(Tag(f"{keyword}Descriptor"), "US", descriptor))
        found.append(DataElement(Tag(f"{keyword}Data"), "OW", table))
    return found
