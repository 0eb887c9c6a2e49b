"""Look-up tables of a data set, their numbers only."""

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from pipeline.dicom_tags import raw_value, term
from pipeline.grey_scale import read_table
from pipeline.kept_attributes import PALETTE


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
    found: list[DataElement | None] = []
    for keyword in (keyword for keyword in PALETTE if keyword.endswith("Descriptor")):
        descriptor = [int(value) for value in raw_value(dataset, keyword)[:3]]
        data = dataset[keyword.replace("Descriptor", "Data")].value
        length = 2 * (descriptor[0] or 2**16)
        found.append(DataElement(Tag(keyword), "US", [value % 2**16 for value in descriptor]))
        found.append(DataElement(Tag(keyword.replace("Descriptor", "Data")), "OW", data[:length]))
    return found
