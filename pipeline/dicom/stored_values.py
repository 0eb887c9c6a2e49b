"""Values taken out of samples, of which tags state the bits (PS3.5 8.1.1, PS3.3 C.7.6.3).

Bits that are allocated but not stored may hold anything: old devices drew overlays there, with
names. But some devices state fewer bits than their values have, mostly after lossy compression.
The two are told apart by neighbours: with its overlay a value jumps by that bit, without its
topmost bit an overflowing one does.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.dicom.attributes import label
from pipeline.dicom.description import Description
from pipeline.dicom.padding import has_padding_value
from pipeline.dicom.pixels import has_unused_bits
from pipeline.value_range import OVERFLOW, robust_ends

# A bit is the values' own if neighbours that differ in it differ by less than half of what they
# would without it: by a tenth in most films, by far more where the bit is an overlay's.
_SMOOTHER: Final = 0.5
_ENOUGH: Final = 4_000_000  # pixels, of rows at equal distances


@dataclass(frozen=True)
class SampleBits:
    """The `stored` bits of `allocated` ones that are the value; `high` is the highest, from 0."""

    allocated: int
    stored: int
    high: int
    is_signed: bool

    @property
    def range(self) -> tuple[int, int]:
        """The least and the greatest value."""
        low = -(1 << (self.stored - 1)) if self.is_signed else 0
        return low, low + (1 << self.stored) - 1

    def extended(self, count: int) -> "SampleBits":
        return replace(self, stored=self.stored + count, high=self.high + count)


def take_values(samples: NDArray[Any], bits: SampleBits) -> NDArray[Any]:
    """Return the values of integer samples, of the samples' size, signed as `bits` say."""
    size = samples.dtype.itemsize
    above, below = 8 * size - 1 - bits.high, 8 * size - bits.stored
    shifted = np.left_shift(samples.view(f"u{size}"), above)
    values: NDArray[Any] = shifted.view(f"{'i' if bits.is_signed else 'u'}{size}") >> below
    return values


def clear_other_bits(samples: NDArray[Any], bits: SampleBits) -> NDArray[Any]:
    """Return the samples with nothing but their values: other bits are 0 or repeat the sign."""
    cleared: NDArray[Any] = take_values(samples, bits) << (bits.high + 1 - bits.stored)
    return cleared.view(samples.dtype)


def with_value_bits(samples: NDArray[Any], description: Description) -> Description:
    """Return the description with what a frame shows of the bits that hold its values.

    samples: as decoded, (H, W) or (H, W, 3); for floats and palettes nothing changes. Where values
    overflow the stated bits, those are corrected. But if they overflow a little and no window is
    stated, the stated bits remain for their range, and `extra_bits` tells the others. A warning
    tells of both, and of other bits.
    """
    if samples.dtype.kind == "f" or description.palette:
        return description
    samples = samples if samples.ndim == 2 else samples[..., 1]  # green has most of the luminance
    stated = sample_bits(samples, description)
    padding = has_padding_value(samples, description.padding)
    film = samples if padding is None else samples[~padding]
    if film.size and _is_lower(film, stated):
        description = replace(description, high=stated.stored - 1)
        return _warned(description, f"{description.high} is assumed", keyword="HighBit")
    if not film.size or _is_within(film, stated):
        return description
    found = value_bits(samples, stated, overlays=description.overlays, padding=padding)
    if found == stated and _is_within(film, replace(stated, is_signed=False)):
        return description  # only signs are not extended
    if found == stated:
        return _warned(description, "other bits are set, which are no values")
    of_range = found
    if not (description.windows or description.voi_table):
        of_range = _range_bits(robust_ends(take_values(film, found)), stated, found)
    extra = found.stored - of_range.stored
    description = replace(description, stored=of_range.stored, high=of_range.high, extra_bits=extra)
    if of_range == stated:
        return _warned(description, "some values are greater and were kept")
    return _warned(description, f"values are greater, {of_range.stored} is assumed")


def _range_bits(ends: tuple[float, float], stated: SampleBits, found: SampleBits) -> SampleBits:
    """Return the bits whose range is shown; what overflows it a little is saturated."""
    low, high = stated.range
    if low * OVERFLOW <= ends[0] and ends[1] <= high * OVERFLOW:
        return stated
    further = (stated.extended(count) for count in range(1, found.stored - stated.stored))
    for bits in further:
        low, high = bits.range
        if low - 1 <= ends[0] and ends[1] <= high + 1:
            return bits
    return found


def _warned(description: Description, fault: str, *, keyword: str = "BitsStored") -> Description:
    warning = f"{label(keyword)}: {fault}"
    return replace(description, warnings=(*description.warnings, warning))


def sample_bits(samples: NDArray[Any], description: Description) -> SampleBits:
    """Return which bits of samples are values: all of lossy ones (see `has_unused_bits`)."""
    width = 8 * samples.dtype.itemsize
    if not has_unused_bits(description) or description.high >= width:
        return SampleBits(width, width, width - 1, description.is_signed)
    stated = SampleBits(width, description.stored, description.high, description.is_signed)
    return stated.extended(description.extra_bits)


def value_bits(
    samples: NDArray[Any],
    stated: SampleBits,
    *,
    overlays: Collection[int] = (),
    padding: NDArray[np.bool_] | None = None,
) -> SampleBits:
    """Return the bits that hold the values: those stated, or further ones that they overflow to.

    samples: integers (H, W). overlays: bits that hold an overlay (PS3.3 C.9.2 of 2004). padding:
    bool (H, W), pixels that do not count.
    """
    some = slice(None, None, 1 + samples.size // _ENOUGH)
    samples = np.ascontiguousarray(samples[some])
    others = samples.view(f"u{samples.dtype.itemsize}") >> (stated.high + 1 - stated.is_signed)
    is_step = others[:, 1:] != others[:, :-1]
    if padding is not None:
        is_step &= ~(padding[some, 1:] | padding[some, :-1])
    left, right = samples[:, :-1][is_step], samples[:, 1:][is_step]
    limit = min((bit for bit in overlays if bit > stated.high), default=stated.allocated)
    candidates = [stated.extended(count) for count in range(limit - stated.high)]
    for fewer, bits in reversed(list(pairwise(candidates))):  # topmost bit first
        if _is_smoother(left, right, bits, fewer):
            return bits
    return stated


def _is_smoother(
    left: NDArray[Any], right: NDArray[Any], bits: SampleBits, fewer: SampleBits
) -> bool:
    """Whether neighbours that differ in the topmost of the bits are closer with it than without."""
    one, other = ([take_values(side, some) for some in (bits, fewer)] for side in (left, right))
    differ = one[0] - one[1] != other[0] - other[1]
    steps, without = (
        float(np.abs(a[differ].astype(np.float64) - b[differ]).sum())
        for a, b in zip(one, other, strict=True)
    )
    return steps < _SMOOTHER * without


def _is_lower(samples: NDArray[Any], stated: SampleBits) -> bool:
    """Whether the values are in the lowest bits, not in those stated."""
    below = stated.high + 1 - stated.stored
    lowest = replace(stated, high=stated.stored - 1)
    return below > 0 and _is_within(samples, lowest) and bool((samples & ((1 << below) - 1)).any())


def _is_within(samples: NDArray[Any], bits: SampleBits) -> bool:
    """Whether no bit above the value is set that is not its sign; true of most images."""
    size, below = samples.dtype.itemsize, bits.high + 1 - bits.stored
    numbers = samples.view(f"{'i' if bits.is_signed else 'u'}{size}")
    low, high = bits.range
    return bool(numbers.min() >= low << below and numbers.max() >> below <= high)
