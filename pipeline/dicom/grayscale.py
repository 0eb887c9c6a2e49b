"""From stored values to grey levels for display: the grayscale pipeline of PS3.3.

Modality LUT (C.11.1), then VOI LUT or window (C.11.2), then MONOCHROME1 (C.7.6.3.1.2). The
scale comes from tags and bits stored, never from an image's own extremes, so that the same
tissue has the same grey in every image of a device.

pydicom 3.0's `apply_modality_lut` and `apply_voi_lut` give the same values (a test compares
them), but take ten times as long on 3 million pixels of 12 bits, since they calculate for each
pixel instead of each possible value. They also fail for a Modality LUT of 10 or 12 bits, for
attributes with several values, and for unusable windows.
"""

import math

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom.attributes import code, label, number
from pipeline.dicom.lut import read_table
from pipeline.errors import RefusedError, damaged, unsupported

Values = NDArray[np.float64]
Range = tuple[float, float]  # the least and the greatest value that can occur


def grey_levels(values: Values, dataset: Dataset, *, stored: Range) -> NDArray[np.float32]:
    """Return float32 in [0, 1], 0 = black, for each stored value.

    values: float64, any shape. stored: the range of values that can be stored. Raises
    RefusedError where the attributes contradict each other.
    """
    values, possible = _apply_modality(values, stored, dataset)
    grey = _apply_voi(values, possible, dataset)
    if code(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        grey = 1 - grey  # C.7.6.3.1.2: the least value is white
    return np.clip(grey, 0, 1).astype(np.float32)


def has_broken_window(dataset: Dataset) -> bool:
    """Whether a window is stated that cannot be applied (C.11.2.1.2.1: width at least 1)."""
    window = _window(dataset)
    return window is not None and not _is_usable(*window)


def _apply_modality(values: Values, stored: Range, dataset: Dataset) -> tuple[Values, Range]:
    """C.11.1: a table, else slope and intercept."""
    table = read_table(dataset, "ModalityLUTSequence")
    if table:
        looked_up = table.entries[table.index(values)].astype(np.float64)
        return looked_up, (float(table.entries.min()), float(table.entries.max()))
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    low, high = sorted(value * slope + intercept for value in stored)
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        raise damaged(f"{label('RescaleSlope')} is not usable")
    return values * slope + intercept, (low, high)


def _apply_voi(values: Values, possible: Range, dataset: Dataset) -> Values:
    """C.11.2: of a table and a window, one is applied; we take the table. Several: the first."""
    table = read_table(dataset, "VOILUTSequence")
    if table:
        return np.asarray(table.entries[table.index(values)] / float(table.top))
    window = _window(dataset)
    if window is None or not _is_usable(*window):
        low, high = possible
        return (values - low) / ((high - low) or 1)
    centre, width, function = window
    if function == "SIGMOID":  # C.11.2.1.3.1
        exponent = np.clip(-4 * (values - centre) / width, -500, 500)
        return np.asarray(1 / (1 + np.exp(exponent)))
    if function == "LINEAR_EXACT":  # C.11.2.1.3.2
        return (values - centre) / width + 0.5
    if width == 1:  # C.11.2.1.2.1: a step
        return (values > centre - 0.5).astype(np.float64)
    return (values - (centre - 0.5)) / (width - 1) + 0.5  # C.11.2.1.2.1


def _window(dataset: Dataset) -> tuple[float, float, str] | None:
    """Return centre, width and function of the first window, None where none is stated.

    What is stated but is not a number comes back as NaN.
    """
    stated: list[float] = []
    for keyword in ("WindowCenter", "WindowWidth"):
        try:
            value = number(dataset, keyword)
        except RefusedError:
            value = math.nan
        if value is None:
            return None
        stated.append(value)
    function = code(dataset, "VOILUTFunction") or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise unsupported(f"{label('VOILUTFunction')} is unknown")
    return stated[0], stated[1], function


def _is_usable(centre: float, width: float, function: str) -> bool:
    least = 1 if function == "LINEAR" else 1e-9
    return math.isfinite(centre) and math.isfinite(width) and width >= least
