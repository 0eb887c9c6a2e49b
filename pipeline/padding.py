"""Pixels that pad a picture to a rectangle and show nothing (PS3.3 C.7.5.1.1.2)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom_tags import integer, is_signed, number


def padding_mask(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_] | None:
    """Return bool (H, W), True where a stored value is padding; None if there is none.

    The value and the range's other end are compared with the stored values, before any
    table or window.
    """
    value, limit = (number(dataset, k) for k in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if value is None or frame.ndim != 2:
        return None
    low, high = sorted(
        (_as_stored(value, dataset), _as_stored(value if limit is None else limit, dataset))
    )
    mask = (frame >= low) & (frame <= high)
    return mask if mask.any() else None


def _as_stored(value: float, dataset: Dataset) -> float:
    """Writers disagree whether the attribute is signed; the pixels are what counts."""
    signed = is_signed(dataset)
    half: int = 2 ** (integer(dataset, "BitsAllocated", default=16) - 1)
    if signed and value >= half:
        return value - 2 * half
    if not signed and value < 0:
        return value + 2 * half
    return value


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns that hold anything but padding; empty if none do."""
    rows, columns = (np.flatnonzero(~mask.all(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
