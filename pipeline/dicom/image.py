"""From a DICOM data set to the image as a viewer shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.dicom.attributes import kept_tags
from pipeline.dicom.description import Description, describe
from pipeline.dicom.encoding.codecs import decode_reduced
from pipeline.dicom.encoding.layout import FrameReader, settle_layout
from pipeline.dicom.frontal import burned_in_warnings, read_tags
from pipeline.dicom.grayscale import Voi, grey_levels
from pipeline.dicom.padding import bounding_box, padding_mask
from pipeline.dicom.pixels import as_rgb
from pipeline.dicom.stored_values import sample_bits, take_values, with_value_bits
from pipeline.dicom.voi import range_voi, rule_of, stated_voi, voi_warnings
from pipeline.errors import damaged
from pipeline.limits import Limits, check_not_blank
from pipeline.types import NO_LOCAL_TERMS, DecodedImage, LocalTerms, RangeRule
from pipeline.value_range import histogram

# ITU-R BT.601, which PS3.3 C.7.6.3.1.2 uses for YBR_FULL.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_SAMPLES: Final = 20_000  # pixels, by which it is judged whether a window fits


@dataclass(frozen=True)
class _Grey:
    """pixels: as of `DecodedImage`. voi: what gave their range, None for colours."""

    pixels: NDArray[np.float32]
    voi: Voi | None = None


@dataclass(frozen=True)
class FirstFrame:
    """What reading and de-identification share, so that the frame is decoded once.

    samples: as of `decode_reduced`. description: as the samples are, which tags may contradict.
    """

    samples: NDArray[Any]
    description: Description
    halvings: int = 0


def decode_dataset(
    dataset: Dataset,
    limits: Limits,
    local_terms: LocalTerms = NO_LOCAL_TERMS,
    *,
    minimum_size: int | None = None,
) -> tuple[DecodedImage, FirstFrame]:
    """Decode the first frame of a data set whose tags do not contradict a frontal chest image.

    minimum_size: JPEG 2000 may be decoded at a lower resolution, with at least this many pixels to
    a side. Raises RefusedError; the tags are checked first, since that is cheap.
    """
    reading = read_tags(dataset, local_terms)
    first = first_frame(dataset, limits, minimum_size=minimum_size)
    description, frame = first.description, as_rgb(first.samples, first.description)
    check_not_blank(frame)  # before more memory is used: decompression bombs are blank
    grey = _grey_image(frame, description)
    warnings = [*reading.warnings, *burned_in_warnings(dataset), *description.warnings]
    if description.frames > 1:
        warnings.append(f"first of {description.frames} frames read")
    if grey.voi:
        warnings += voi_warnings(grey.voi, description)
    image = DecodedImage(
        grey.pixels,
        description.rows,
        description.columns,
        frames=description.frames,
        tags=kept_tags(dataset),
        warnings=tuple(warnings),
        range_rule=rule_of(grey.voi) if grey.voi else RangeRule.BITS_STORED,
        pixel_aspect=description.pixel_aspect,
        unknown_terms=reading.unknown_terms,
        sampling=2**first.halvings,
    )
    return image, first


def first_frame(dataset: Dataset, limits: Limits, *, minimum_size: int | None = None) -> FirstFrame:
    """Decode the first frame of any image. Raises RefusedError."""
    frames = FrameReader(dataset)
    description = settle_layout(frames, describe(dataset), limits)
    if minimum_size is None or description.samples == 3:
        samples, halvings = frames.first(description), 0
    else:
        samples, halvings = decode_reduced(dataset, description, minimum_size)
    return FirstFrame(samples, with_value_bits(samples, description), halvings)


def _grey_image(frame: NDArray[Any], description: Description) -> _Grey:
    if frame.ndim == 3:
        return _Grey(_luminance(frame, description))
    if palette := description.palette:
        grey_of = palette.entries.astype(np.float32) @ (_LUMINANCE / np.float32(palette.top))
        return _Grey(_looked_up(frame, description, lambda values: grey_of[palette.index(values)]))
    if frame.dtype.kind == "f" and not np.isfinite(frame).all():
        raise damaged("the float pixel data contain values that are not finite")
    mask = padding_mask(
        frame,
        description.padding,
        stored=description.stored_range,
        is_inverse=description.is_inverse != (description.slope < 0),
    )
    if mask is None or mask.all():  # a range of padding that holds all values is a mistake
        return _monochrome(frame, None, description)
    box = bounding_box(mask)
    grey = _monochrome(frame[box], mask[box], description)
    grey.pixels[mask[box]] = 0
    return grey


def _luminance(frame: NDArray[Any], description: Description) -> NDArray[np.float32]:
    """Row by row: all at once would take four bytes for each colour of each pixel."""
    pixels = np.empty(frame.shape[:2], np.float32)
    bits, top = sample_bits(frame, description), np.float32(2**description.stored - 1)
    for row, colours in zip(pixels, frame, strict=True):
        np.matmul(take_values(colours, bits).astype(np.float32), _LUMINANCE / top, out=row)
    return np.clip(pixels, 0, 1, out=pixels)


def _monochrome(
    frame: NDArray[Any], padding: NDArray[np.bool_] | None, description: Description
) -> _Grey:
    """padding: bool (H, W), pixels that do not count for the range."""
    film = frame if padding is None else frame[~padding]
    some = _values(film.ravel()[:: max(1, film.size // _SAMPLES)], description)
    voi = stated_voi(some.astype(np.float64), description)
    if voi is None:
        # Eight bits are shown as a whole.
        counted = _counted(film, description) if description.stored > 8 else (some, None)
        voi = range_voi(*counted, description)
    if frame.dtype.kind == "f":
        return _Grey(grey_levels(frame.astype(np.float64), description, voi), voi)
    return _Grey(
        _looked_up(
            frame,
            description,
            lambda values: grey_levels(values.astype(np.float64), description, voi),
        ),
        voi,
    )


def _values(frame: NDArray[Any], description: Description) -> NDArray[Any]:
    """Return the stored values of samples, int64 (floats as they are)."""
    if frame.dtype.kind == "f":
        return frame
    samples = np.ascontiguousarray(frame)
    return take_values(samples, sample_bits(samples, description)).astype(np.int64)


def _counted(
    frame: NDArray[Any], description: Description
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Return the stored values of a film, and how often each occurs; None: once."""
    if frame.dtype.kind == "f" or frame.dtype.itemsize > 2:
        return _values(frame.ravel(), description), None
    unsigned = np.ascontiguousarray(frame).view(f"u{frame.dtype.itemsize}")
    patterns, counts = histogram(unsigned)
    patterns, counts = patterns[counts > 0], counts[counts > 0]
    return _values(patterns.astype(unsigned.dtype), description), counts


def _looked_up(
    frame: NDArray[Any],
    description: Description,
    grey: Callable[[NDArray[np.int64]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Apply `grey` to every value that can be stored, then look the pixels up in that table."""
    size = frame.dtype.itemsize
    if size > 2:
        return grey(_values(frame, description))
    grey_of = grey(_values(np.arange(2 ** (8 * size), dtype=f"u{size}"), description))
    pixels: NDArray[np.float32] = grey_of[np.ascontiguousarray(frame).view(f"u{size}")]
    return pixels
