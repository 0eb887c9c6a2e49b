"""Colours and unused bits of samples as stored."""

from typing import Any

from numpy.typing import NDArray
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import RLELossless

from pipeline.dicom.description import Description
from pipeline.dicom.encoding.syntaxes import LOSSLESS


def as_rgb(samples: NDArray[Any], description: Description) -> NDArray[Any]:
    """Return samples of `decode_frame` with YCbCr converted to RGB, others as they are."""
    if samples.ndim == 3 and description.photometric in ("YBR_FULL", "YBR_FULL_422"):
        return convert_color_space(samples, "YBR_FULL", "RGB")
    return samples


def has_unused_bits(description: Description) -> bool:
    """Whether samples have bits that are not theirs (PS3.5 8.1.1) and may hold something else.

    Not so for lossy codecs, whose values may lie a little outside the bits stored.
    """
    syntax = description.syntax
    if description.stored >= description.allocated:
        return False
    if not syntax.is_encapsulated or syntax == RLELossless:
        return True
    # Codecs differ in where they put samples that do not occupy the lowest bits.
    return syntax in LOSSLESS and description.high == description.stored - 1
