"""Colour tables of PALETTE COLOR pictures (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom.attributes import is_signed, raw_value
from pipeline.errors import RefusalCode, RefusedError

COLOURS: Final = ("Red", "Green", "Blue")
_UNUSABLE: Final = "the colour tables (0028,1101-1203) are missing or contradictory"


@dataclass(frozen=True)
class Palette:
    """entries: uint16 (n, 3), as stored, for the values `first`, `first + 1`, ...

    top: the greatest that an entry can be: 255 or 65535.
    """

    first: int
    entries: NDArray[np.uint16]
    top: int

    def places(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return each stored value's place in `entries`; beyond an end it is that end."""
        return np.clip(values - self.first, 0, len(self.entries) - 1)


def read_palette(dataset: Dataset) -> Palette:
    """Return the tables. Raises RefusedError where they are missing, damaged or segmented."""
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        raise RefusedError(
            RefusalCode.UNSUPPORTED, "segmented colour tables (0028,1221) are not supported"
        )
    descriptors = [_descriptor(dataset, colour) for colour in COLOURS]
    count, first, bits = descriptors[0]
    if any(one != descriptors[0] for one in descriptors) or bits not in (8, 16):
        raise RefusedError(RefusalCode.DAMAGED, _UNUSABLE)
    if first >= 2**15 and is_signed(dataset):
        first -= 2**16  # written as unsigned where the values are signed
    columns = [_entries(dataset, colour, count, bits) for colour in COLOURS]
    entries = np.stack(columns, axis=-1)
    # Entries of eight bits may also fill sixteen (C.7.6.3.1.5).
    return Palette(first, entries, 255 if entries.max() < 256 and bits == 8 else 65535)


def _descriptor(dataset: Dataset, colour: str) -> tuple[int, int, int]:
    try:
        count, first, bits = raw_value(dataset, f"{colour}PaletteColorLookupTableDescriptor")
        return int(count) or 2**16, int(first), int(bits)
    except (TypeError, ValueError):
        raise RefusedError(RefusalCode.DAMAGED, _UNUSABLE) from None


def _entries(dataset: Dataset, colour: str, count: int, bits: int) -> NDArray[np.uint16]:
    """Entries of eight bits come one to a byte, or, from some writers, one to a word."""
    data = raw_value(dataset, f"{colour}PaletteColorLookupTableData")
    if not isinstance(data, bytes):
        raise RefusedError(RefusalCode.DAMAGED, _UNUSABLE)
    words = np.frombuffer(data[: len(data) // 2 * 2], _words(dataset)).astype("<u2")
    is_packed = bits == 8 and len(data) < 2 * count
    entries = words.view(np.uint8).astype(np.uint16) if is_packed else words
    if len(entries) < count:
        raise RefusedError(RefusalCode.DAMAGED, _UNUSABLE)
    return entries[:count]


def packed(palette: Palette, dataset: Dataset) -> tuple[list[int], list[bytes]]:
    """Return the descriptor, and a table for each of `COLOURS` with nothing behind its entries."""
    descriptor = [len(palette.entries) % 2**16, palette.first % 2**16]
    if palette.top == 2**16 - 1:
        return [*descriptor, 16], [
            column.astype(_words(dataset)).tobytes() for column in palette.entries.T
        ]
    padded = np.pad(palette.entries, ((0, len(palette.entries) % 2), (0, 0))).astype(np.uint8)
    tables = [np.ascontiguousarray(column).view("<u2") for column in padded.T]
    return [*descriptor, 8], [table.astype(_words(dataset)).tobytes() for table in tables]


def _words(dataset: Dataset) -> str:
    return "<u2" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">u2"
