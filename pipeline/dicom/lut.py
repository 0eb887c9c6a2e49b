"""Look-up tables: Modality and VOI LUT (PS3.3 C.11.1, C.11.2), colour palettes (C.7.6.3.1.5)."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom.attributes import label, raw_value
from pipeline.errors import RefusedError, damaged, unsupported

Range = tuple[float, float]

COLOURS: Final = ("Red", "Green", "Blue")
_MISSING: Final = 0.05  # of a table's entries may be missing at its end
_ABOVE: Final = 0.01  # of a table's entries may be greater than its bits allow
_MOST_TURNS: Final = 4  # A curve rises and falls by no more than this many times its height.


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


def read_table(
    dataset: Dataset, keyword: str, *, covers: Range, order: str
) -> tuple[LookUpTable | None, tuple[str, ...]]:
    """Return the first usable table of a sequence, None where there is none, and warnings.

    covers: the least and the greatest value that is looked up. They decide whether the first
    value is signed, on which writers disagree. order: of the words of the data set.
    """
    unusable = (f"{label(keyword)} holds no usable table",)
    try:
        sequence = raw_value(dataset, keyword) or []
    except RefusedError:
        return None, unusable
    for item in sequence:
        is_output = keyword == "VOILUTSequence"
        if found := _table_of(item, order, covers, is_output=is_output):
            table, faults = found
            return table, tuple(f"{label(keyword)}: {fault}" for fault in faults)
    return None, unusable if sequence else ()


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


def _table_of(
    item: Dataset, order: str, covers: Range, *, is_output: bool
) -> tuple[LookUpTable, list[str]] | None:
    """Return an item's table and what is wrong with it, None if it cannot be used.

    is_output: whether the greatest value that the bits allow is white.
    """
    try:
        count, first, bits, *_ = [*_integers(item, "LUTDescriptor", order), 0]
        entries = _entries(item, order, count=count % 2**16, bits=bits)
    except (RefusedError, TypeError, ValueError, OverflowError):
        return None
    count = count % 2**16 or len(entries)
    missing = max(0, count - len(entries))
    if missing > max(1, count * _MISSING) or not _is_curve(entries):
        return None
    faults = [f"{missing} of {count} entries are missing"] if missing else []
    entries = np.pad(entries, (0, missing), mode="edge")[:count]
    fitting = _fitting_bits(entries, bits, is_output=is_output)
    if fitting != bits:
        faults.append(f"its entries are of {fitting} bits, not of those stated")
    if is_output:
        entries = np.minimum(entries, np.uint16((1 << fitting) - 1))
    return LookUpTable(_first(first, count, covers), entries, fitting), faults


def _integers(item: Dataset, keyword: str, order: str) -> list[int]:
    """Return values of any VR; bytes as words."""
    value = raw_value(item, keyword)
    if isinstance(value, bytes):
        values = np.frombuffer(value + bytes(len(value) % 2), order)
    else:
        values = np.atleast_1d(np.asarray(value, np.int64))
    return [int(one) for one in values]


def _entries(item: Dataset, order: str, *, count: int, bits: int) -> NDArray[np.uint16]:
    """Entries of eight bits come one to a word or two; count: 0 if it is not stated."""
    words = (np.array(_integers(item, "LUTData", order)) & 0xFFFF).astype("<u2")
    is_packed = abs(2 * len(words) - count) < abs(len(words) - count) if count else bits <= 8
    if not is_packed or words.max(initial=0) < 256:
        return words
    is_bytes = item["LUTData"].VR == "OB"
    return (np.frombuffer(item.LUTData, "u1") if is_bytes else words.view("u1")).astype("u2")


def _is_curve(entries: NDArray[np.uint16]) -> bool:
    """Whether a table has several values, and is no noise, as words of a wrong length are."""
    height = int(np.ptp(entries)) if len(entries) else 0
    steps = np.abs(np.diff(entries.astype(np.int64))).sum()
    return height > 0 and bool(steps <= _MOST_TURNS * height)


def _fitting_bits(entries: NDArray[np.uint16], stated: int, *, is_output: bool) -> int:
    """Return the stated bits of an entry where they fit, else those of the greatest entry."""
    needed = max(8, int(entries.max()).bit_length())
    if not 1 <= stated <= 16:
        return needed
    above = float((entries >> stated > 0).mean())
    if above > (_ABOVE if is_output else 0):
        return needed
    return min(stated, needed) if is_output else stated


def _first(stated: int, count: int, covers: Range) -> int:
    """Return the first value, signed or not so that more of the values lie in the table."""
    other = stated + 2**16 if stated < 0 else stated - 2**16 if stated >= 2**15 else stated

    def shared(first: int) -> float:
        return min(first + count - 1, covers[1]) - max(first, covers[0])

    return max(stated, other, key=shared)


def _colour(dataset: Dataset, colour: str, count: int, bits: int) -> NDArray[np.uint16]:
    """Entries of eight bits come one to a byte or, from some writers, one to a word."""
    data = raw_value(dataset, f"{colour}PaletteColorLookupTableData")
    words = np.frombuffer(data[: len(data) // 2 * 2], word_order(dataset)).astype("<u2")
    is_packed = bits == 8 and len(data) < 2 * count
    entries = words.view(np.uint8).astype(np.uint16) if is_packed else words
    if len(entries) < count or bits not in (8, 16):
        raise ValueError("unusable table")
    return entries[:count]
