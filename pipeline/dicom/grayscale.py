"""From stored values to what a person sees: the grey scale transformations of PS3.3.

Modality LUT (C.11.1), then VOI LUT or window (C.11.2), then MONOCHROME1 (C.7.6.3.1.2). The
scale comes from tags and bits stored, never from the picture's own extremes, so that the
same tissue has the same grey in every picture of a device.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom.attributes import code, is_signed, label, number, raw_value
from pipeline.errors import RefusalCode, RefusedError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """The values that can occur, before and after each step."""

    low: float
    high: float


def grey_levels(values: Values, dataset: Dataset, *, stored: Span) -> NDArray[np.float32]:
    """Return float32 in [0, 1], 0 = black, for each stored value.

    values: float64, any shape. stored: the least and greatest value that can be stored.
    Raises RefusedError where the attributes contradict each other.
    """
    values, span = _apply_modality(values, stored, dataset)
    grey = _apply_voi(values, span, dataset)
    if code(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        grey = 1 - grey  # C.7.6.3.1.2: the least value is white
    return np.clip(grey, 0, 1).astype(np.float32)


def has_broken_window(dataset: Dataset) -> bool:
    """Whether a window is stated that cannot be applied (C.11.2.1.2.1: width at least 1)."""
    width, centre = _stated(dataset, "WindowWidth"), _stated(dataset, "WindowCenter")
    if width is None or centre is None:
        return False
    least = 1 if _window_function(dataset) == "LINEAR" else 1e-9
    return not (np.isfinite(width) and np.isfinite(centre) and width >= least)


def _stated(dataset: Dataset, keyword: str) -> float | None:
    """Like `number`, but what is written and no number is not finite: such a window is broken."""
    try:
        return number(dataset, keyword)
    except RefusedError:
        return math.nan


def _apply_modality(values: Values, span: Span, dataset: Dataset) -> tuple[Values, Span]:
    """C.11.1: a table, else slope and intercept."""
    table = read_table(dataset, "ModalityLUTSequence")
    if table:
        return table.look_up(values), Span(table.entries.min(), table.entries.max())
    slope = number(dataset, "RescaleSlope")
    intercept = number(dataset, "RescaleIntercept")
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    ends = sorted((span.low * slope + intercept, span.high * slope + intercept))
    if not np.isfinite(ends).all() or ends[0] == ends[1]:
        raise RefusedError(RefusalCode.DAMAGED, f"{label('RescaleSlope')} is not usable")
    return values * slope + intercept, Span(*ends)


def _apply_voi(values: Values, span: Span, dataset: Dataset) -> Values:
    """C.11.2: of a table and a window, one is applied; we take the table. Several: the first."""
    table = read_table(dataset, "VOILUTSequence")
    if table:
        return table.look_up(values) / table.top
    width, centre = _stated(dataset, "WindowWidth"), _stated(dataset, "WindowCenter")
    if width is None or centre is None or has_broken_window(dataset):
        return (values - span.low) / ((span.high - span.low) or 1)
    return _window(values, centre, width, _window_function(dataset))


def _window(values: Values, centre: float, width: float, function: str) -> Values:
    if function == "SIGMOID":  # C.11.2.1.3.1
        exponent = np.clip(-4 * (values - centre) / width, -500, 500)
        return np.asarray(1 / (1 + np.exp(exponent)))
    if function == "LINEAR_EXACT":  # C.11.2.1.3.2
        return (values - centre) / width + 0.5
    if width == 1:  # C.11.2.1.2.1: a step
        return (values > centre - 0.5).astype(np.float64)
    return (values - (centre - 0.5)) / (width - 1) + 0.5  # C.11.2.1.2.1


def _window_function(dataset: Dataset) -> str:
    function = code(dataset, "VOILUTFunction") or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise RefusedError(RefusalCode.UNSUPPORTED, f"{label('VOILUTFunction')} is unknown")
    return function


@dataclass(frozen=True)
class LookUpTable:
    """C.11.1.1, C.11.2.1.1: `entries` for the inputs `first`, `first + 1`, ..."""

    first: int
    entries: Values
    bits: int

    @property
    def top(self) -> float:
        """The greatest output that the stated bits allow."""
        return float(2**self.bits - 1)

    def look_up(self, values: Values) -> Values:
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        looked_up: Values = self.entries[index.astype(np.intp)]
        return looked_up


def read_table(dataset: Dataset, keyword: str) -> LookUpTable | None:
    """Return the first table of a sequence, None where there is none."""
    sequence = raw_value(dataset, keyword)
    if not sequence:
        return None
    descriptor, data = (raw_value(sequence[0], k) for k in ("LUTDescriptor", "LUTData"))
    try:
        count, first, bits = (int(value) for value in descriptor)
        entries = _entries(data, little_endian=_is_little_endian(dataset), bits=bits)
    except (TypeError, ValueError):
        raise RefusedError(RefusalCode.DAMAGED, f"{label(keyword)} holds no usable table") from None
    count = count or 2**16  # 0 stands for 65536
    if first >= 2**15 and is_signed(dataset):
        first -= 2**16  # written as unsigned where the values are signed
    if len(entries) < count or not 1 <= bits <= 16:
        raise RefusedError(
            RefusalCode.DAMAGED,
            f"{label(keyword)}: expected {count} entries of at most 16 bits, "
            f"received {len(entries)} of {bits}",
        )
    return LookUpTable(first, entries[:count], bits)


def _entries(data: object, *, little_endian: bool, bits: int) -> Values:
    if isinstance(data, bytes):
        return np.frombuffer(data, "<u2" if little_endian else ">u2").astype(np.float64)
    entries = np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF
    if bits <= 8 and entries.max(initial=0) > 255:  # two 8-bit entries in each word
        entries = entries.astype("<u2").view(np.uint8)
    return entries.astype(np.float64)


def _is_little_endian(dataset: Dataset) -> bool:
    return bool(dataset.file_meta.TransferSyntaxUID.is_little_endian)
