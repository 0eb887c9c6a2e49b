"""Which of the tables and windows that a data set states is applied (PS3.3 C.11.2).

The standard leaves the choice to the viewer: the table is taken, else the first window. Converters
leave windows of another number of bits, or of values before an offset: one that does not fit the
values is moved by an offset that explains it, or not applied. A human would turn the knob.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.dicom.description import Description
from pipeline.dicom.grayscale import Values, Voi, after_modality, apply_voi
from pipeline.dicom.lut import LookUpTable
from pipeline.dicom.windows import Window, is_usable
from pipeline.types import RangeRule
from pipeline.value_range import ValueRange, robust_ends, used_range

# Windows for lungs or bones show a part of the values in full contrast, generous ones all values
# in less; both fit. One for a quarter of a film's bits, or for four times as many, does not.
_LEAST_USED: Final = 1 / 3  # of the grey levels
_MOST_CLIPPED: Final = 0.65  # of the pixels, to black or to white
_LEAST_SHOWN: Final = 0.1  # of the pixels
# A window of all values of another number of bits is a converter's, not a human's.
_ALL_OF_BITS: Final = frozenset(2**bits - less for bits in range(8, 17) for less in (0, 1))
_WIDER: Final = 1.5
_MOST_WHITE: Final = 0.35  # of the pixels
# One that clips much is moved if it clips next to nothing then.
_CLIPS_MUCH: Final = 0.05  # of the pixels
_CLIPS_NOTHING: Final = 0.005
_EXPLAINED: Final = 0.5  # of the pixels; an offset that lets a window clip more explains nothing
# Text and frames are as bright as can be stored, and a gap parts them from the film's values.
_TEXT: Final = (0.005, 0.5)  # of the pixels
_FILM: Final = 0.25  # of the greatest value that can be stored
_IN_GAP: Final = 0.0005  # of the pixels

Stated = LookUpTable | Window


def stated_voi(film: Values, description: Description) -> Voi | None:
    """Return the first table or window that fits the values of a film, None if none does.

    film: some of its stored values, without padding.
    """
    stated = _stated(description)
    values = after_modality(film, description)
    fitting = _fitting(values, stated, description)
    if any(clipped < _CLIPS_MUCH for _, clipped in fitting):
        return fitting[0][0]
    moved = [one for each in stated for one in _moved(each, film, description)]
    explained = [one for one in _fitting(values, moved, description) if one[1] < _EXPLAINED]
    whole = [one for one in explained if one[1] < _CLIPS_NOTHING]
    found = [*whole, *fitting, *explained]
    return found[0][0] if found else None


def voi_warnings(voi: Voi, description: Description) -> list[str]:
    """Return what readers should know of the range that is shown."""
    stated = _stated(description)
    if not stated:
        return [voi.warning] if isinstance(voi, ValueRange) and voi.warning else []
    if voi is stated[0]:
        return []
    if any(voi is one for one in stated):
        return ["the first stated window does not fit the values, another is shown"]
    fault = f"the stated {'table' if description.voi_table else 'window'} does not fit the values"
    if not isinstance(voi, ValueRange):
        return [f"{fault}, it is moved by their offset"]
    return [fault, voi.warning] if voi.warning else [f"{fault}, the whole range is shown"]


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
    if stored and counts is not None:
        is_film = _is_film(values, counts, stored[1])
        values, counts = values[is_film], counts[is_film]
    is_turned = description.slope < 0
    found = used_range(values, stored=stored, counts=counts, is_inverse=is_inverse != is_turned)
    ends = after_modality(np.array([found.low, found.high], np.float64), description)
    return ValueRange(float(ends.min()), float(ends.max()), found.rule)


def _is_film(
    values: NDArray[Any], counts: NDArray[np.integer], greatest: float
) -> NDArray[np.bool_]:
    """Return bool (N), False for the values of text and frames if the film has none near them.

    values, counts: (N). greatest: that can be stored.
    """
    is_low = values <= _FILM * greatest
    total, low, text = counts.sum(), counts[is_low].sum(), counts[values == greatest].sum()
    is_apart = total - low - text <= _IN_GAP * total
    least, most = _TEXT
    is_text = is_apart and least * total < text <= most * total
    return is_low if is_text else np.ones_like(is_low)


def _stated(description: Description) -> list[Stated]:
    tables = [description.voi_table] if description.voi_table else []
    return [*tables, *description.windows]


def _moved(stated: Stated, film: Values, description: Description) -> list[Stated]:
    """Return it as of values before the rescaling, or before a change of their sign."""
    slope, intercept = description.slope, description.intercept
    moved: list[Stated] = []
    if not description.modality_table and (slope, intercept) != (1, 0):
        if isinstance(stated, Window):
            centre, width = slope * stated.centre + intercept, abs(slope) * stated.width
            moved.append(Window(centre, width))
        elif slope == 1:
            moved.append(_shifted(stated, intercept))
    low, high = robust_ends(film)
    half = 2.0 ** (description.stored - 1)
    if description.keyword == "PixelData" and (high < 0 if description.is_signed else low >= half):
        moved.append(_shifted(stated, slope * (-half if description.is_signed else half)))
    start, length = _extent(stated)
    if abs(start) <= 1 and low < 0:
        moved.append(_shifted(stated, -length / 2))
    elif abs(start + length / 2) <= 1:
        moved.append(_shifted(stated, length / 2))
    return moved


def _extent(stated: Stated) -> tuple[float, float]:
    """Return the least value that is shown, and how many are."""
    if isinstance(stated, Window):
        return stated.centre - stated.width / 2, stated.width
    return stated.first, len(stated.entries)


def _shifted(stated: Stated, offset: float) -> Stated:
    if isinstance(stated, Window):
        return replace(stated, centre=stated.centre + offset)
    return replace(stated, first=stated.first + round(offset))


def _fitting(
    values: Values, stated: list[Stated], description: Description
) -> list[tuple[Stated, float]]:
    """Return those that fit, each with the share of the pixels that it clips."""
    found = [(one, _clipped(values, one, description)) for one in stated]
    return [(one, clipped) for one, clipped in found if clipped is not None]


def _clipped(values: Values, voi: Stated, description: Description) -> float | None:
    """Return the share of the pixels that are clipped, None if they are not shown.

    They are shown neither in too few grey levels nor mostly black or white.
    """
    function = description.function
    if isinstance(voi, Window) and not is_usable(voi, function):
        return None
    low, high = robust_ends(values)
    film = values[(values > low) & (values < high)]  # without the background and saturated parts
    if not film.size:
        return 0.0
    black, white = apply_voi(np.array([low, high]), voi, function).clip(0, 1)
    grey = apply_voi(film, voi, function)
    below, above = grey <= 0, grey >= 1
    if isinstance(voi, LookUpTable):
        below |= film < voi.first
        above |= film >= voi.first + len(voi.entries)
    clipped = float(below.mean()), float(above.mean())
    is_shown = (
        abs(white - black) >= _LEAST_USED
        and max(clipped) <= _MOST_CLIPPED
        and 1 - sum(clipped) >= _LEAST_SHOWN
        and not _is_of_other_bits(
            voi, high, clipped[0 if description.is_inverse else 1], description
        )
    )
    return sum(clipped) if is_shown else None


def _is_of_other_bits(voi: Stated, high: float, white: float, description: Description) -> bool:
    """Whether a window shows all values of another number of bits.

    high: the film's greatest value. white: share of the pixels that the window shows white.
    """
    start, length = _extent(voi)
    if isinstance(voi, LookUpTable) or abs(start) > 1 or round(length) not in _ALL_OF_BITS:
        return False
    top = after_modality(np.array(description.stored_range, np.float64), description).max()
    return bool(length > _WIDER * top or (_WIDER * length < high and white > _MOST_WHITE))
