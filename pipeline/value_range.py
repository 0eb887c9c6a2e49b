"""Which values an image shows from black to white where it does not say so itself.

Bits that are stored but not used make an image dark, and a network takes it for another one. So
the smallest usual range that holds the values is shown; it is the same for nearly all images of a
device. Only percentiles count: a few hot or dead pixels change nothing.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.types import RangeRule

Range = tuple[float, float]  # the least and the greatest value

# Share of the pixels that may lie beyond each end: letters of lead and annotations, which are as
# bright as can be, take less.
_BEYOND: Final = 0.005
_PART: Final = 2**20  # values at a time: the largest images take a decoder's memory otherwise
_LEAST_BITS: Final = 8
_MOST_BITS: Final = 32
_NARROW: Final = 0.5  # share of a range; images that were made for it use more
# Where the brightest pixels of most training images lie; on white, findings change more often.
_BRIGHT: Final = 0.9
OVERFLOW: Final = 1.5  # a little more than the stated bits hold is saturated, not a wider range


@dataclass(frozen=True)
class ValueRange:
    """The values that are shown black (low) and white (high), and by which rule."""

    low: float
    high: float
    rule: RangeRule

    @property
    def warning(self) -> str:
        """Return what was done in a sentence, "" for a range as stated or that of floats."""
        is_usual = (self.low, self.high) == (0, 1)
        if self.rule not in (RangeRule.BITS_USED, RangeRule.PERCENTILES) or is_usual:
            return ""
        low, high = (
            f"{end:.0f}" if abs(end) >= 100 else f"{end:.3g}" for end in (self.low, self.high)
        )
        if self.rule == RangeRule.BITS_USED:
            return f"the smallest usual range that holds the values is shown: {low} to {high}"
        return f"the values lie close together: {low} to {high} are shown from black to white"


def used_range(
    values: NDArray[Any],
    *,
    stored: Range | None,
    counts: NDArray[np.integer] | None = None,
    is_inverse: bool = False,
) -> ValueRange:
    """Return the range of values to show: the stored one, unless a part of it is used.

    values: finite, without padding, any shape, not empty. counts: how often each occurs, None:
    once. stored: the range that the stated bits hold; None where none is stated (floats).
    is_inverse: whether the least value is white.
    """
    if stored is not None and stored[1] - stored[0] < 2**_LEAST_BITS:
        return ValueRange(*stored, RangeRule.BITS_STORED)
    low, high = robust_ends(values, counts=counts)
    if high <= low:
        return ValueRange(*(stored or (low, low + 1)), RangeRule.BITS_STORED)
    if stored is not None and high <= OVERFLOW * stored[1] and _fills(low, high, stored):
        return ValueRange(*stored, RangeRule.BITS_STORED)
    usual = (0.0, 1.0) if stored is None and low >= 0 and high <= 1 else _usual_range(low, high)
    if usual is None or not _fills(low, high, usual):
        spread = (high - low) / _BRIGHT
        low, high = (high - spread, high) if is_inverse else (low, low + spread)
        return ValueRange(low, high, RangeRule.PERCENTILES)
    return ValueRange(*usual, RangeRule.BITS_USED)


def _fills(low: float, high: float, whole: Range) -> bool:
    return high - low >= _NARROW * (whole[1] - whole[0])


def robust_ends(values: NDArray[Any], *, counts: NDArray[np.integer] | None = None) -> Range:
    """Return the least and the greatest value without 0.5 % of the pixels at each end."""
    if counts is None and values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        values, counts = histogram(values)  # in a third of the time of sorting
    if counts is None:
        ordered = values.ravel()
        beyond = int(_BEYOND * ordered.size)
        ordered = np.partition(ordered, (beyond, ordered.size - 1 - beyond))
        return float(ordered[beyond]), float(ordered[-1 - beyond])
    order = np.argsort(values)
    reached = np.cumsum(counts[order])
    beyond = int(_BEYOND * reached[-1])
    ends = np.searchsorted(reached, (beyond + 1, reached[-1] - beyond))
    low, high = values[order[ends]]
    return float(low), float(high)


def histogram(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the integers from the least to the greatest, and how often each occurs."""
    least, greatest = int(values.min()), int(values.max())
    counts = np.zeros(greatest - least + 1, np.int64)
    for part in np.array_split(values.ravel(), 1 + values.size // _PART):
        counts += np.bincount(part.astype(np.int64) - least, minlength=len(counts))
    return np.arange(least, greatest + 1), counts


def _usual_range(low: float, high: float) -> Range | None:
    """Return the smallest usual range that holds both, None if none does.

    Negative values need a signed range.
    """
    for bits in range(_LEAST_BITS, _MOST_BITS + 1):
        half = 2.0 ** (bits - 1)
        usual = (0.0, 2 * half - 1) if low >= 0 else (-half, half - 1)
        if usual[0] <= low and high <= usual[1]:
            return usual
    return None
