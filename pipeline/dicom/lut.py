"""Look-up tables: Modality and VOI LUT (PS3.3 C.11.1, C.11.2), colour palettes (C.7.6.3.1.5)."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom.attributes import label, raw_value
from pipeline.errors import damaged, unsupported

COLOURS: Final = ("Red", "Green", "Blue")


@dataclass(frozen=True)
class LookUpTable:
    """The outputs for the stored values `first`, `first + 1`, ...

    entries: uint16 (n,), of a palette (n, 3). bits: of an entry, 1 to 16.
    """

    first: int
    entries: NDArray[np.uint16]
    bits: int

    @property
    def top(self) -> int:
        """The greatest output that the stated bits allow."""
        return (1 << self.bits) - 1

    def index(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """Return each value's index in `entries`; beyond an end it is that end's."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        return np.asarray(index, np.intp)


def read_table(dataset: Dataset, keyword: str, *, is_signed: bool) -> LookUpTable | None:
    """Return the first table of a sequence, None where there is none. Raises RefusedError."""
    sequence = raw_value(dataset, keyword)
    if not sequence:
        return None
    descriptor, data = (raw_value(sequence[0], k) for k in ("LUTDescriptor", "LUTData"))
    try:
        count, first, bits = _described(descriptor, is_signed=is_signed)
        entries = _entries(data, order=word_order(dataset), bits=bits)
    except (TypeError, ValueError):
        raise damaged(f"{label(keyword)} holds no usable table") from None
    if len(entries) < count or not 1 <= bits <= 16:
        raise damaged(
            f"{label(keyword)}: expected {count} entries of at most 16 bits, "
            f"received {len(entries)} of {bits}"
        )
    return LookUpTable(first, entries[:count], bits)


def read_palette(dataset: Dataset, *, is_signed: bool) -> LookUpTable:
    """Return the colour tables. Raises RefusedError if they are missing, damaged or segmented."""
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        raise unsupported("segmented colour tables (0028,1221) are not supported")
    try:
        described = {
            _described(
                raw_value(dataset, f"{colour}PaletteColorLookupTableDescriptor"),
                is_signed=is_signed,
            )
            for colour in COLOURS
        }
        ((count, first, bits),) = described
        columns = [_colour(dataset, colour, count, bits) for colour in COLOURS]
    except (TypeError, ValueError):
        raise damaged("the colour tables (0028,1101-1203) are missing or contradictory") from None
    entries = np.stack(columns, axis=-1)
    # Entries of eight bits may also be scaled to sixteen (C.7.6.3.1.5).
    return LookUpTable(first, entries, 8 if entries.max() < 256 and bits == 8 else 16)


def packed_palette(palette: LookUpTable) -> tuple[list[int], list[bytes]]:
    """Return the descriptor, and a little endian table for each of `COLOURS`.

    Nothing follows a table's entries.
    """
    descriptor = [len(palette.entries) % 2**16, palette.first % 2**16, palette.bits]
    columns = palette.entries
    if palette.bits == 8:  # two entries to a word
        padded = np.pad(columns, ((0, len(columns) % 2), (0, 0))).astype(np.uint8)
        columns = np.ascontiguousarray(padded.T).view("<u2").T
    return descriptor, [column.astype("<u2").tobytes() for column in columns.T]


def word_order(dataset: Dataset) -> str:
    """Return numpy's type of the words in a data set's tables."""
    return "<u2" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">u2"


def _described(descriptor: Any, *, is_signed: bool) -> tuple[int, int, int]:
    """Return the number of entries, the first value and the bits (C.11.1.1)."""
    count, first, bits = (int(value) for value in descriptor)
    if first >= 2**15 and is_signed:
        first -= 2**16  # written as unsigned although the values are signed
    return count or 2**16, first, bits


def _entries(data: object, *, order: str, bits: int) -> NDArray[np.uint16]:
    if isinstance(data, bytes):
        return np.frombuffer(data, order).astype(np.uint16)
    entries = (np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF).astype("<u2")
    if bits <= 8 and entries.max(initial=0) > 255:  # two entries of 8 bits in each word
        return entries.view(np.uint8).astype(np.uint16)
    return entries


def _colour(dataset: Dataset, colour: str, count: int, bits: int) -> NDArray[np.uint16]:
    """Entries of eight bits come one to a byte or, from some writers, one to a word."""
    data = raw_value(dataset, f"{colour}PaletteColorLookupTableData")
    words = np.frombuffer(data[: len(data) // 2 * 2], word_order(dataset)).astype("<u2")
    is_packed = bits == 8 and len(data) < 2 * count
    entries = words.view(np.uint8).astype(np.uint16) if is_packed else words
    if len(entries) < count or bits not in (8, 16):
        raise ValueError("unusable table")
    return entries[:count]
