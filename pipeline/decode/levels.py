"""Samples of more than 8 bits, signed ones and floats to grey levels in [0, 1]."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.decode.xmp import synthetic_warnings
from pipeline.errors import unsupported
from pipeline.types import DecodedImage, GreyPixels, RangeRule
from pipeline.value_range import Range, ValueRange, robust_ends, used_range

_MAX_NOT_FINITE: Final = 0.5  # share of the pixels: of the fields around a film, not of the film
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601
_EXACT_SPANS: Final = {2**bits - 1 for bits in range(8, 17)}


@dataclass(frozen=True)
class Levels:
    """rule: which one gave the range of the pixels."""

    pixels: GreyPixels
    rule: RangeRule = RangeRule.BITS_STORED
    warnings: tuple[str, ...] = ()


def grey_levels(
    values: NDArray[Any],
    *,
    possible: Range | None,
    stated: Range | None = None,
    is_inverted: bool = False,
) -> Levels:
    """Return the grey levels of (H, W) integers or floats, 16 bits of them at most.

    possible: the least and the greatest value that their bits hold, None for floats. stated: those
    that the file says they have; it is believed where it fits. is_inverted: the least value is
    white. Values that are not finite show black. Raises RefusedError if they are most.
    """
    shown, warnings = values, list[str]()
    hidden = None if values.dtype.kind != "f" else ~np.isfinite(values)
    if hidden is not None and hidden.any():
        if hidden.mean() > _MAX_NOT_FINITE:
            raise unsupported("expected finite pixel values")
        warnings.append(f"{hidden.sum()} pixel values are not finite and show black")
        shown = values[~hidden]
    chosen = _range(shown, possible, stated, is_inverted=is_inverted)
    if chosen.rule == RangeRule.PERCENTILES or possible:  # floats state no bits to use a part of
        warnings += [chosen.warning] if chosen.warning else []
    pixels = _scaled(values, chosen, is_inverted=is_inverted)
    if hidden is not None:
        pixels[hidden] = 0
    return Levels(pixels, chosen.rule, tuple(warnings))


def image_of(
    levels: Levels,
    rows: int,
    columns: int,
    *,
    frames: int = 1,
    aspect: float = 1.0,
    xmp: bytes = b"",
) -> DecodedImage:
    """Return upright levels as an image. rows, columns: as stored. xmp: see `xmp`."""
    notes = (f"first of {frames} frames read",) if frames > 1 else ()
    return DecodedImage(
        levels.pixels,
        rows,
        columns,
        frames=frames,
        warnings=notes + synthetic_warnings(xmp) + levels.warnings,
        range_rule=levels.rule,
        pixel_aspect=aspect,
    )


def copied_levels(values: NDArray[Any], *, bits: int, rule: RangeRule) -> Levels:
    """Return the levels of a stored copy: `bits` of them, scaled to the bits of `values`."""
    top, stored_top = 2**bits - 1, 2 ** (8 * values.dtype.itemsize) - 1
    exact = values if top == stored_top else np.rint(values * np.float64(top / stored_top))
    return Levels(scaled(exact, top), rule)


def _range(
    values: NDArray[Any], possible: Range | None, stated: Range | None, *, is_inverted: bool
) -> ValueRange:
    if stated and stated != possible:
        low, high = robust_ends(values)
        if stated[0] <= low and high <= stated[1] and 2 * (high - low) >= stated[1] - stated[0] > 0:
            return ValueRange(*stated, RangeRule.STATED)
    return used_range(values, stored=possible, is_inverse=is_inverted)


def luminance(colours: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32 (H, W) of (H, W, 3), in the range of the colours."""
    values = np.empty(colours.shape[:2], np.float32)
    for row, colour in zip(values, colours, strict=True):  # all at once would take a copy
        np.matmul(colour.astype(np.float32), _LUMINANCE, out=row)
    return values


def scaled(values: NDArray[Any], top: int) -> NDArray[np.float32]:
    """Return float32 of the same shape in [0, 1]; values: 0 to top."""
    pixels: NDArray[np.float32] = np.multiply(values, np.float32(1 / top), dtype=np.float32)
    return pixels


def in_whole_levels(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the pixels rounded to the levels of 16 bits, which a stored copy has."""
    return scaled(np.rint(pixels * np.float32(65535)), 65535)


def _scaled(values: NDArray[Any], chosen: ValueRange, *, is_inverted: bool) -> NDArray[np.float32]:
    span = chosen.high - chosen.low
    if chosen.low == 0 and span in _EXACT_SPANS and values.dtype.kind == "u" and not is_inverted:
        pixels = scaled(values, int(span))
        return np.clip(pixels, 0, 1, out=pixels)
    # In whole levels, as a stored copy has them: it is read as the file itself is.
    levels = int(span) if span in _EXACT_SPANS else 2**16 - 1
    black, white = (chosen.high, chosen.low) if is_inverted else (chosen.low, chosen.high)
    pixels = np.empty(values.shape, np.float32)
    for row, stored in zip(pixels, values, strict=True):  # all at once would take twice as much
        share = (stored.astype(np.float64) - black) / (white - black)
        row[:] = np.rint(np.clip(np.nan_to_num(share), 0, 1) * levels)
    pixels *= np.float32(1 / levels)
    return pixels
