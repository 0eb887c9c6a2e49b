"""Which of the tables and windows that a data set states is applied (PS3.3 C.11.2).

The standard leaves the choice to the viewer: the table is taken, else the first window. Converters
leave windows of another number of bits, or of values before an offset: one that does not fit the
values is moved by an offset that explains it, or not applied. A human would turn the knob.
"""

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.dicom.description import Description, Window
from pipeline.dicom.grayscale import Values, Voi, after_modality, apply_voi
from pipeline.dicom.lut import LookUpTable
from pipeline.types import RangeRule
from pipeline.value_range import ValueRange, robust_ends, used_range

# Windows for lungs or bones show a part of the values in full contrast, generous ones all values
# in less; both fit. One for a quarter of a film's bits, or for four times as many, does not.
_LEAST_USED: Final = 1 / 3  # of the grey levels
_MOST_CLIPPED: Final = 0.65  # of the pixels, to black or to white
_LEAST_SHOWN: Final = 0.1  # of the pixels


def stated_voi(film: Values, description: Description) -> Voi | None:
    """Return the first table or window that fits the values of a film, None if none does.

    film: some of its stored values, without padding.
    """
    stated: list[LookUpTable | Window] = [*description.windows]
    if description.voi_table:
        stated.insert(0, description.voi_table)
    if not stated:
        return None
    stated += _moved_windows(film, description)
    values = after_modality(film, description)
    return next((one for one in stated if _fits(values, one, description.function)), None)


def voi_warnings(voi: Voi, description: Description) -> list[str]:
    """Return what readers should know of the range that is shown."""
    if isinstance(voi, LookUpTable):
        return []
    if isinstance(voi, Window) and voi not in description.windows:
        return ["the stated window does not fit the values, it is moved by their offset"]
    if isinstance(voi, Window):
        is_first = voi == description.windows[0] and not description.voi_table
        return (
            []
            if is_first
            else ["the first stated window does not fit the values, another is shown"]
        )
    if not (description.windows or description.voi_table):
        return [voi.warning] if voi.warning else []
    if not voi.warning:
        return ["the stated window does not fit the values, the whole range is shown"]
    return ["the stated window does not fit the values", voi.warning]


def rule_of(voi: Voi) -> RangeRule:
    if isinstance(voi, ValueRange):
        return voi.rule
    return RangeRule.TABLE if isinstance(voi, LookUpTable) else RangeRule.WINDOW


def range_voi(
    values: NDArray[Any], counts: NDArray[np.integer] | None, description: Description
) -> ValueRange:
    """Return the range of values after the Modality LUT that stands in for a window.

    values: stored ones without padding; counts: how often each occurs, None: once.
    """
    is_inverse = description.is_inverse
    if table := description.modality_table:
        outputs = after_modality(values.astype(np.float64), description)
        possible = float(table.entries.min()), float(table.entries.max())
        return used_range(outputs, stored=possible, counts=counts, is_inverse=is_inverse)
    stored = description.stored_range if description.keyword == "PixelData" else None
    is_turned = description.slope < 0
    found = used_range(values, stored=stored, counts=counts, is_inverse=is_inverse != is_turned)
    ends = after_modality(np.array([found.low, found.high], np.float64), description)
    return ValueRange(float(ends.min()), float(ends.max()), found.rule)


def _moved_windows(film: Values, description: Description) -> list[Window]:
    """Return the windows as of values before the rescaling, or before a change of their sign."""
    slope, intercept = description.slope, description.intercept
    moved = []
    if not description.modality_table and (slope, intercept) != (1, 0):
        moved = [
            Window(slope * window.centre + intercept, abs(slope) * window.width)
            for window in description.windows
        ]
    low, high = robust_ends(film)
    half = 2.0 ** (description.stored - 1)
    if description.keyword == "PixelData" and (high < 0 if description.is_signed else low >= half):
        offset = slope * (-half if description.is_signed else half)
        moved += [replace(window, centre=window.centre + offset) for window in description.windows]
    return moved


def _fits(values: Values, voi: LookUpTable | Window, function: str) -> bool:
    """Whether it shows the values, neither in too few grey levels nor mostly black or white."""
    if isinstance(voi, Window) and not _is_usable(voi, function):
        return False
    low, high = robust_ends(values)
    film = values[(values > low) & (values < high)]  # without the background and saturated parts
    if not film.size:
        return True
    black, white = apply_voi(np.array([low, high]), voi, function).clip(0, 1)
    grey = apply_voi(film, voi, function)
    below, above = grey <= 0, grey >= 1
    if isinstance(voi, LookUpTable):
        below |= film < voi.first
        above |= film >= voi.first + len(voi.entries)
    clipped = float(below.mean()), float(above.mean())
    return (
        abs(white - black) >= _LEAST_USED
        and max(clipped) <= _MOST_CLIPPED
        and 1 - sum(clipped) >= _LEAST_SHOWN
    )


def _is_usable(window: Window, function: str) -> bool:
    """C.11.2.1.2.1: a linear window has a width of at least 1."""
    least = 1 if function == "LINEAR" else 1e-9
    return math.isfinite(window.centre) and window.width >= least
