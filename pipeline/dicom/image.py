"""From a DICOM data set to the image as a viewer shows it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom.attributes import code, integer, is_signed, kept_tags, number
from pipeline.dicom.frontal import burned_in_warnings, check_frontal
from pipeline.dicom.grayscale import grey_levels, has_broken_window
from pipeline.dicom.lut import read_palette
from pipeline.dicom.pixels import first_frame, frames, has_unused_bits
from pipeline.errors import damaged
from pipeline.limits import Limits, check_not_blank
from pipeline.types import DecodedImage

_WINDOW = ("WindowCenter", "WindowWidth", "VOILUTSequence")  # PS3.3 C.11.2
# ITU-R BT.601, which PS3.3 C.7.6.3.1.2 uses for YBR_FULL.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def decode_dataset(dataset: Dataset, limits: Limits) -> DecodedImage:
    """Decode the first frame of a data set whose tags do not contradict a frontal chest image.

    Raises RefusedError; the tags are checked first, since that is cheap.
    """
    check_frontal(dataset)
    frame, count = first_frame(dataset, limits), frames(dataset)
    check_not_blank(frame)  # before more memory is used: decompression bombs are blank
    pixels, is_whole_range = _grey_image(frame, dataset), has_broken_window(dataset)
    has_window = any(keyword in dataset for keyword in _WINDOW)
    if not is_whole_range and has_window and _shows_nothing(pixels):
        # A window outside the values of the image, or without width: some devices write such.
        pixels, is_whole_range = _grey_image(frame, _without_window(dataset)), True
    warnings = burned_in_warnings(dataset)
    if count > 1:
        warnings.append(f"first of {count} frames read")
    if is_whole_range:
        warnings.append("the stated window cannot be applied, the whole range is shown")
    rows, columns = frame.shape[:2]
    return DecodedImage(
        pixels, rows, columns, frames=count, tags=kept_tags(dataset), warnings=tuple(warnings)
    )


def padding_mask(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_] | None:
    """Return bool (H, W), True where a stored value is padding (PS3.3 C.7.5.1.1.2), else None.

    frame: values as stored, before any table or window. None also for colours.
    """
    value, limit = (number(dataset, k) for k in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if value is None or frame.ndim != 2:
        return None
    ends = value, value if limit is None else limit
    low, high = sorted(_as_stored(end, dataset) for end in ends)
    mask = (frame >= low) & (frame <= high)
    return mask if mask.any() else None


def _as_stored(value: float, dataset: Dataset) -> float:
    """Writers disagree whether the attribute is signed; the pixels decide."""
    signed = is_signed(dataset)
    half: int = 2 ** (integer(dataset, "BitsAllocated", default=16) - 1)
    if signed and value >= half:
        return value - 2 * half
    if not signed and value < 0:
        return value + 2 * half
    return value


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns that contain more than padding; empty if none do."""
    rows, columns = (np.flatnonzero(~mask.all(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _without_window(dataset: Dataset) -> Dataset:
    plain = Dataset()
    plain.update(dataset)
    plain.file_meta = dataset.file_meta
    for keyword in _WINDOW:
        if keyword in plain:
            del plain[keyword]
    return plain


def _shows_nothing(pixels: NDArray[np.float32]) -> bool:
    """Whether fewer than two grey levels are left; for most images a few pixels show that."""
    return all(
        len(np.unique(some[(some > 0) & (some < 1)])) < 2 for some in (pixels[::16, ::16], pixels)
    )


def _grey_image(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.float32]:
    if frame.ndim == 3:
        return _luminance(frame, np.float32(2 ** integer(dataset, "BitsStored") - 1))
    if code(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
        palette = read_palette(dataset)
        grey_of = palette.entries.astype(np.float32) @ (_LUMINANCE / np.float32(palette.top))
        return _looked_up(frame, dataset, lambda values: grey_of[palette.index(values)])
    grey = _grey_of_floats if frame.dtype.kind == "f" else _grey_of_integers
    mask = padding_mask(frame, dataset)
    if mask is None:
        return grey(frame, dataset)
    box = bounding_box(mask)
    pixels = grey(frame[box], dataset)
    pixels[mask[box]] = 0
    return pixels


def _luminance(frame: NDArray[Any], top: np.float32) -> NDArray[np.float32]:
    """Row by row: all at once would take four bytes for each colour of each pixel."""
    pixels = np.empty(frame.shape[:2], np.float32)
    for row, colours in zip(pixels, frame, strict=True):
        np.matmul(colours.astype(np.float32), _LUMINANCE / top, out=row)
    return np.clip(pixels, 0, 1, out=pixels)


def _grey_of_integers(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.float32]:
    bits = integer(dataset, "BitsStored")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if is_signed(dataset) else (0, 2**bits)
    stored = (low, high - 1)
    return _looked_up(
        frame,
        dataset,
        lambda values: grey_levels(values.astype(np.float64), dataset, stored=stored),
    )


def _looked_up(
    frame: NDArray[Any], dataset: Dataset, grey: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Apply `grey` to every value that can be stored, then look the pixels up in that table."""
    signed = is_signed(dataset)
    if frame.dtype.itemsize > 2:
        return grey(_stored_values(frame.astype(np.int64), dataset, signed=signed))
    patterns = np.arange(2 ** (8 * frame.dtype.itemsize), dtype=np.int64)
    values = _stored_values(patterns, dataset, signed=signed, width=8 * frame.dtype.itemsize)
    unsigned = np.ascontiguousarray(frame).view(f"u{frame.dtype.itemsize}")
    pixels: NDArray[np.float32] = grey(values)[unsigned]
    return pixels


def _stored_values(
    patterns: NDArray[np.int64], dataset: Dataset, *, signed: bool, width: int = 32
) -> NDArray[np.int64]:
    """Take the stored bits out of the allocated ones (PS3.5 8.1.1).

    The other bits may hold something else (old overlays). Values from a lossy codec are left
    as they are: they may lie a little outside the bits stored.
    """
    if signed:
        half = 1 << (width - 1)
        patterns = (patterns + half) % (2 * half) - half
    if not has_unused_bits(dataset):
        return patterns
    bits = integer(dataset, "BitsStored")
    shift = integer(dataset, "HighBit", default=bits - 1) + 1 - bits
    values = (patterns >> shift) & ((1 << bits) - 1)
    half = 1 << (bits - 1)
    return np.where(values >= half, values - 2 * half, values) if signed else values


def _grey_of_floats(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.float32]:
    """Float samples (C.7.6.24) state no range: without a window it is their own."""
    values = frame.astype(np.float64)
    if not np.isfinite(values).all():
        raise damaged("the float pixel data contain values that are not finite")
    low, high = float(values.min()), float(values.max())
    return grey_levels(values, dataset, stored=(low, high if high > low else low + 1))
