"""From a DICOM data set to the image as a viewer shows it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom.attributes import kept_tags
from pipeline.dicom.description import Description, describe
from pipeline.dicom.frontal import NO_LOCAL_TERMS, LocalTerms, burned_in_warnings, read_tags
from pipeline.dicom.grayscale import grey_levels, has_broken_window
from pipeline.dicom.padding import bounding_box, padding_mask
from pipeline.dicom.pixels import first_frame, has_unused_bits
from pipeline.errors import damaged
from pipeline.limits import Limits, check_not_blank
from pipeline.types import DecodedImage

# ITU-R BT.601, which PS3.3 C.7.6.3.1.2 uses for YBR_FULL.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def decode_dataset(
    dataset: Dataset, limits: Limits, local_terms: LocalTerms = NO_LOCAL_TERMS
) -> DecodedImage:
    """Decode the first frame of a data set whose tags do not contradict a frontal chest image.

    Raises RefusedError; the tags are checked first, since that is cheap.
    """
    reading = read_tags(dataset, local_terms)
    description = describe(dataset)
    frame = first_frame(dataset, description, limits)
    check_not_blank(frame)  # before more memory is used: decompression bombs are blank
    pixels = _grey_image(frame, description)
    is_whole_range = has_broken_window(description)
    has_window = description.windows or description.voi_table
    if not is_whole_range and has_window and _shows_nothing(pixels):
        # A window outside the values of the image, or without width: some devices write such.
        pixels = _grey_image(frame, description.without_window())
        is_whole_range = True
    warnings = [*reading.warnings, *burned_in_warnings(dataset), *description.warnings]
    if description.frames > 1:
        warnings.append(f"first of {description.frames} frames read")
    if is_whole_range:
        warnings.append("the stated window cannot be applied, the whole range is shown")
    rows, columns = frame.shape[:2]
    return DecodedImage(
        pixels,
        rows,
        columns,
        frames=description.frames,
        tags=kept_tags(dataset),
        warnings=tuple(warnings),
        pixel_aspect=description.pixel_aspect,
        unknown_terms=reading.unknown_terms,
    )


def _shows_nothing(pixels: NDArray[np.float32]) -> bool:
    """Whether fewer than two grey levels are left; for most images a few pixels show that."""
    return all(
        len(np.unique(some[(some > 0) & (some < 1)])) < 2 for some in (pixels[::16, ::16], pixels)
    )


def _grey_image(frame: NDArray[Any], description: Description) -> NDArray[np.float32]:
    if frame.ndim == 3:
        return _luminance(frame, np.float32(2**description.stored - 1))
    if palette := description.palette:
        grey_of = palette.entries.astype(np.float32) @ (_LUMINANCE / np.float32(palette.top))
        return _looked_up(frame, description, lambda values: grey_of[palette.index(values)])
    grey = _grey_of_floats if frame.dtype.kind == "f" else _grey_of_integers
    mask = padding_mask(frame, description.padding, stored=description.stored_range)
    if mask is None:
        return grey(frame, description)
    box = bounding_box(mask)
    pixels = grey(frame[box], description)
    pixels[mask[box]] = 0
    return pixels


def _luminance(frame: NDArray[Any], top: np.float32) -> NDArray[np.float32]:
    """Row by row: all at once would take four bytes for each colour of each pixel."""
    pixels = np.empty(frame.shape[:2], np.float32)
    for row, colours in zip(pixels, frame, strict=True):
        np.matmul(colours.astype(np.float32), _LUMINANCE / top, out=row)
    return np.clip(pixels, 0, 1, out=pixels)


def _grey_of_integers(frame: NDArray[Any], description: Description) -> NDArray[np.float32]:
    return _looked_up(
        frame,
        description,
        lambda values: grey_levels(
            values.astype(np.float64), description, stored=description.stored_range
        ),
    )


def _looked_up(
    frame: NDArray[Any],
    description: Description,
    grey: Callable[[NDArray[np.int64]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Apply `grey` to every value that can be stored, then look the pixels up in that table."""
    if frame.dtype.itemsize > 2:
        return grey(_stored_values(frame.astype(np.int64), description))
    patterns = np.arange(2 ** (8 * frame.dtype.itemsize), dtype=np.int64)
    values = _stored_values(patterns, description, width=8 * frame.dtype.itemsize)
    unsigned = np.ascontiguousarray(frame).view(f"u{frame.dtype.itemsize}")
    pixels: NDArray[np.float32] = grey(values)[unsigned]
    return pixels


def _stored_values(
    patterns: NDArray[np.int64], description: Description, *, width: int = 32
) -> NDArray[np.int64]:
    """Take the stored bits out of the allocated ones (PS3.5 8.1.1).

    The other bits may hold something else (old overlays). Values from a lossy codec are left
    as they are: they may lie a little outside the bits stored.
    """
    if description.is_signed:
        half = 1 << (width - 1)
        patterns = (patterns + half) % (2 * half) - half
    if not has_unused_bits(description):
        return patterns
    bits = description.stored
    values = (patterns >> (description.high + 1 - bits)) & ((1 << bits) - 1)
    half = 1 << (bits - 1)
    return np.where(values >= half, values - 2 * half, values) if description.is_signed else values


def _grey_of_floats(frame: NDArray[Any], description: Description) -> NDArray[np.float32]:
    """Float samples (C.7.6.24) state no range: without a window it is their own."""
    values = frame.astype(np.float64)
    if not np.isfinite(values).all():
        raise damaged("the float pixel data contain values that are not finite")
    low, high = float(values.min()), float(values.max())
    return grey_levels(values, description, stored=(low, high if high > low else low + 1))
