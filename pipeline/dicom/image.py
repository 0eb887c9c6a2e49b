"""From a DICOM data set to the picture that a person would see.

Pixels that pad a picture to a rectangle and show nothing (PS3.3 C.7.5.1.1.2).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom.attributes import code, integer, is_signed, kept_tags, number
from pipeline.dicom.frontal import JUDGED, burned_in_warnings, check_frontal
from pipeline.dicom.grayscale import Span, grey_levels, has_broken_window
from pipeline.dicom.palette import read_palette
from pipeline.dicom.pixels import first_frame, frames, has_unused_bits
from pipeline.errors import RefusalCode, RefusedError
from pipeline.files.sniff import DICOM
from pipeline.limits import Limits, check_not_blank
from pipeline.types import DecodedImage


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


_WINDOW = ("WindowCenter", "WindowWidth", "VOILUTSequence")  # PS3.3 C.11.2
# ITU-R BT.601, which PS3.3 C.7.6.3.1.2 uses for YBR_FULL.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def decode_dataset(dataset: Dataset, limits: Limits) -> DecodedImage:
    """Decode the first frame of a data set whose tags do not contradict a frontal chest.

    Raises RefusedError; the tags are checked first, since that costs nothing.
    """
    check_frontal({keyword: code(dataset, keyword) for keyword in JUDGED})
    frame = first_frame(dataset, limits)
    check_not_blank(frame)  # before memory is spent on it: a bomb is blank
    pixels, is_whole_range = _picture(frame, dataset), has_broken_window(dataset)
    if not is_whole_range and _has_window(dataset) and _shows_nothing(pixels):
        # A window beside the film's values, or of no width, as some devices write it.
        pixels, is_whole_range = _picture(frame, _without_window(dataset)), True
    return DecodedImage(
        pixels=pixels,
        media_type=DICOM,
        rows=frame.shape[0],
        columns=frame.shape[1],
        frames=frames(dataset),
        tags=kept_tags(dataset),
        warnings=tuple(_warnings(dataset, is_whole_range=is_whole_range)),
    )


def _warnings(dataset: Dataset, *, is_whole_range: bool) -> list[str]:
    found = burned_in_warnings(dataset)
    if frames(dataset) > 1:
        found.append(f"first of {frames(dataset)} frames read")
    if is_whole_range:
        found.append("the stated window cannot be applied, the whole range is shown")
    return found


def _has_window(dataset: Dataset) -> bool:
    return any(keyword in dataset for keyword in _WINDOW)


def _without_window(dataset: Dataset) -> Dataset:
    plain = Dataset()
    plain.update(dataset)
    plain.file_meta = dataset.file_meta
    for keyword in _WINDOW:
        if keyword in plain:
            del plain[keyword]
    return plain


def _shows_nothing(pixels: NDArray[np.float32]) -> bool:
    """Whether no two greys are left. A few pixels tell it of most pictures."""
    return all(
        len(np.unique(some[(some > 0) & (some < 1)])) < 2 for some in (pixels[::16, ::16], pixels)
    )


def _picture(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.float32]:
    if frame.ndim == 3:
        return _luminance(frame, np.float32(_stored_top(dataset)))
    if code(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
        palette = read_palette(dataset)
        grey_of = palette.entries.astype(np.float32) @ (_LUMINANCE / np.float32(palette.top))
        return _looked_up(frame, dataset, lambda values: grey_of[palette.places(values)])
    grey = _float_picture if frame.dtype.kind == "f" else _integer_picture
    mask = padding_mask(frame, dataset)
    if mask is None:
        return grey(frame, dataset)
    box = bounding_box(mask)
    picture = grey(frame[box], dataset)
    picture[mask[box]] = 0
    return picture


def _luminance(frame: NDArray[Any], top: np.float32) -> NDArray[np.float32]:
    """Row by row: at once it would take four bytes for each colour of each pixel."""
    picture = np.empty(frame.shape[:2], np.float32)
    for row, colours in zip(picture, frame, strict=True):
        np.matmul(colours.astype(np.float32), _LUMINANCE / top, out=row)
    return np.clip(picture, 0, 1, out=picture)


def _stored_top(dataset: Dataset) -> int:
    return int(2 ** integer(dataset, "BitsStored")) - 1


def _integer_picture(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.float32]:
    bits = integer(dataset, "BitsStored")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if is_signed(dataset) else (0, 2**bits)
    span = Span(low, high - 1)
    return _looked_up(
        frame,
        dataset,
        lambda values: grey_levels(values.astype(np.float64), dataset, stored=span),
    )


def _looked_up(
    frame: NDArray[Any], dataset: Dataset, grey: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """One look-up in a table of every value that can be stored, however many pixels."""
    signed = is_signed(dataset)
    if frame.dtype.itemsize > 2:
        return grey(_stored_values(frame.astype(np.int64), dataset, signed=signed))
    patterns = np.arange(2 ** (8 * frame.dtype.itemsize), dtype=np.int64)
    values = _stored_values(patterns, dataset, signed=signed, width=8 * frame.dtype.itemsize)
    picture: NDArray[np.float32] = grey(values)[
        np.ascontiguousarray(frame).view(f"u{frame.dtype.itemsize}")
    ]
    return picture


def _stored_values(
    patterns: NDArray[np.int64], dataset: Dataset, *, signed: bool, width: int = 32
) -> NDArray[np.int64]:
    """PS3.5 8.1.1: take the stored bits out of the allocated ones.

    Other bits may hold something else (old overlays), but not where a lossy codec made the
    values: those are whole, and would be torn where they lie a little beyond the bits stored.
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


def _float_picture(frame: NDArray[Any], dataset: Dataset) -> NDArray[np.float32]:
    """Float samples (C.7.6.24) state no range: the window tells, else their own ends do."""
    values = frame.astype(np.float64)
    if not np.isfinite(values).all():
        raise RefusedError(
            RefusalCode.DAMAGED, "the float pixel data contain values that are not finite"
        )
    low, high = float(values.min()), float(values.max())
    return grey_levels(values, dataset, stored=Span(low, high if high > low else low + 1))
