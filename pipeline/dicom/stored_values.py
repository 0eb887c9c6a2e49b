"""Values taken out of samples, of which tags state the bits (PS3.5 8.1.1, PS3.3 C.7.6.3).

Bits that are allocated but not stored may hold anything: old devices drew overlays there, with
names. But some devices state fewer bits than their values have, mostly after lossy compression.
The two are told apart by neighbours: with its overlay a value jumps by that bit, without its
topmost bit an overflowing one does.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Values overflow where their steps to neighbours are less than half as large as if they did not.
_SMOOTHER: Final = 0.5
_MOST_ABOVE: Final = 0.25  # of the values may be above the range that is stated


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


def value_bits(
    samples: NDArray[Any],
    stated: SampleBits,
    *,
    overlays: Collection[int] = (),
    padding: NDArray[np.bool_] | None = None,
) -> SampleBits:
    """Return the bits that hold the values: those stated, or further ones that they overflow to.

    samples: integers of any shape, neighbours side by side. overlays: bits that hold an overlay
    (Overlay Bit Position, PS3.3 C.9.2 of 2004). padding: bool, of the samples' shape.
    """
    if _is_within(samples, stated):
        return stated
    samples = samples.ravel()
    whole = stated.extended(stated.allocated - 1 - stated.high)
    extra = take_values(samples, whole) - take_values(samples, stated)
    if not extra.any():
        return stated
    steps = np.flatnonzero(extra[1:] != extra[:-1])
    if padding is not None:
        is_film = ~padding.ravel()
        steps = steps[is_film[steps] & is_film[steps + 1]]
    limit = min((bit for bit in overlays if bit > stated.high), default=stated.allocated)
    candidates = [stated.extended(count) for count in range(limit - stated.high)]
    sums = [_sum_of_steps(samples, steps, bits) for bits in candidates]
    best = int(np.argmin(sums))
    return candidates[best] if sums[best] < _SMOOTHER * sums[0] else stated


def range_bits(values: NDArray[Any], stated: SampleBits, found: SampleBits) -> SampleBits:
    """Return the bits whose range the values have: those stated where few values overflow them.

    values: taken with `found`, without padding. What overflows a little is saturated; what
    has many values above the stated range, or some above twice that, has other bits than stated.
    """
    if found == stated or not values.size:
        return stated
    low, high = stated.range
    some = values.ravel()[:: max(1, values.size // 100_000)].astype(np.float64)
    least, greatest = np.percentile(some, [0.1, 99.9])
    is_far = greatest > 2 * high + 1 or least < 2 * low
    is_often = ((some < low) | (some > high)).mean() > _MOST_ABOVE
    return found if is_far or is_often else stated


def _is_within(samples: NDArray[Any], bits: SampleBits) -> bool:
    """Whether no bit above the value is set that is not its sign; true of most images."""
    size, below = samples.dtype.itemsize, bits.high + 1 - bits.stored
    numbers = samples.view(f"{'i' if bits.is_signed else 'u'}{size}")
    low, high = bits.range
    return bool(numbers.min() >= low << below and numbers.max() >> below <= high)


def _sum_of_steps(samples: NDArray[Any], places: NDArray[np.intp], bits: SampleBits) -> float:
    one, other = (take_values(samples[place], bits) for place in (places, places + 1))
    return float(np.abs(one.astype(np.float64) - other).sum())
