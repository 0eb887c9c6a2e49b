"""What pixel data themselves say of their encoding and layout, where the tags say otherwise.

The data are believed: a stream knows its codec, bits and colours, and native data their length.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from pipeline.dicom.attributes import label
from pipeline.dicom.description import COLOUR, ONE_SAMPLE, Description
from pipeline.dicom.encoding.believed import believe, write_back
from pipeline.dicom.encoding.codecs import decode_frame
from pipeline.dicom.encoding.container import unpack
from pipeline.dicom.encoding.fragments import (
    encoded_frame,
    is_jpeg_stream,
    pixel_data,
    pixel_data_length,
)
from pipeline.errors import damaged
from pipeline.files.jpeg import FrameHeader, check_jpeg, read_jpeg, read_luminance
from pipeline.files.jpeg2000 import CodeStream, read_code_stream
from pipeline.limits import Limits

_YBR_FULL: Final = ("YBR_FULL", "YBR_FULL_422")
_TRANSFORMED: Final = ("YBR_RCT", "YBR_ICT")  # by JPEG 2000, whose decoders undo it
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_FEW, _MOST = 0.5, 0.9  # shares of pixels
# ITU-R BT.601, which PS3.3 C.7.6.3.1.2 uses for YBR_FULL.
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], np.float32)


class FrameReader:
    """Decodes a data set's first frame, again only where another layout of samples is believed."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._layout: tuple[int, int] | None = None

    def first(self, description: Description) -> NDArray[Any]:
        """Return samples as of `decode_frame`, whichever colours they are. Raises RefusedError."""
        layout = description.samples, description.planar
        if layout != self._layout:
            self._samples = decode_frame(self.dataset, description, 0)
            self._layout = layout
        return self._samples


def settle_layout(frames: FrameReader, description: Description, limits: Limits) -> Description:
    """Return the description as the pixel data are, with a warning for each contradiction.

    Attributes and Pixel Data of the data set are corrected in place, so that no later reader finds
    the contradiction. Raises RefusedError, also beyond `limits`.
    """
    limits.check_size(description.rows, description.columns)
    limits.check_frames(description.frames)
    if description.samples not in (1, 3) or (
        description.samples == 3 and description.photometric == "PALETTE COLOR"
    ):
        raise damaged(
            f"{label('SamplesPerPixel')} is {description.samples}, "
            f"which {description.photometric} does not allow"
        )
    settled, dataset = description, frames.dataset
    if description.keyword == "PixelData":
        settled = unpack(dataset, description)
        if settled.syntax.is_encapsulated:
            settled = _of_stream(frames, settled, limits)
        else:
            settled = _of_native(frames, settled)
            _check_length(dataset, settled)
            settled = _of_colours(frames, settled)
        settled = _of_grey(frames, settled, stated=description)
    _check_length(dataset, settled)
    write_back(dataset, settled, stated=description)
    return settled


def _check_length(dataset: Dataset, description: Description) -> None:
    if description.syntax.is_encapsulated:
        return
    expected = pixel_data_length(description)
    received = len(dataset[description.keyword].value or b"")
    if received < expected:
        raise damaged(
            f"{label(description.keyword)} is cut short: "
            f"expected {expected} bytes, received {received}"
        )


def _of_stream(frames: FrameReader, description: Description, limits: Limits) -> Description:
    stream = encoded_frame(frames.dataset, description, 0)
    if description.syntax == RLELossless:
        return _of_colours(frames, description)
    if is_jpeg_stream(stream):
        # Decoders of JPEG silently fill missing parts with grey.
        jpeg = read_jpeg(stream)
        check_jpeg(jpeg, limits)
        read_luminance(jpeg, scale=8)
        return _of_jpeg(frames, description, jpeg.header)
    return _of_2000(frames, description, read_code_stream(stream))


def _of_jpeg(frames: FrameReader, description: Description, header: FrameHeader) -> Description:
    """A stream of fewer bits than are stored may lack the upper ones of signed samples."""
    colours = _colours_of_jpeg(header, description.photometric)
    description = _of_header(description, header, colours)
    if header.is_jpeg_ls or not description.is_signed:
        description = _without_empty_bits(description, header.precision)
    return description if header.is_ybr is not None else _of_colours(frames, description)


def _of_2000(frames: FrameReader, description: Description, header: CodeStream) -> Description:
    stated = description.photometric
    colours = stated if stated in _YBR_FULL else "RGB"
    if header.has_colour_transform and stated not in _TRANSFORMED:
        is_lossless = description.syntax == JPEG2000Lossless
        colours = "RGB" if stated == "RGB" else "YBR_RCT" if is_lossless else "YBR_ICT"
    elif header.has_colour_transform:
        colours = stated
    description = _of_header(description, header, colours)
    description = _without_empty_bits(description, header.precision)
    return description if header.has_colour_transform else _of_colours(frames, description)


def _of_header(
    description: Description, header: FrameHeader | CodeStream, colours: str
) -> Description:
    """colours: Photometric Interpretation of three components."""
    rows, columns = description.rows, description.columns
    if (header.rows, header.columns) != (rows, columns):
        raise damaged(
            f"{label('Rows')} and {label('Columns')} are {rows} and {columns}, "
            f"the pixel data have {header.rows} and {header.columns}"
        )
    if header.components not in (1, 3):
        raise damaged(f"the pixel data have {header.components} components, expected 1 or 3")
    if header.components == 1:
        is_grey = description.photometric in ONE_SAMPLE
        colours = description.photometric if is_grey else "MONOCHROME2"
    if header.components == 3 and description.photometric in _GREY:  # left to `_of_grey`
        description = replace(description, samples=3, photometric=colours)
    else:
        description = believe(description, "SamplesPerPixel", header.components)
        description = believe(description, "PhotometricInterpretation", colours)
    if header.precision > description.allocated:
        description = believe(description, "BitsAllocated", 16 if header.precision <= 16 else 32)
        description = replace(description, stored=header.precision, high=header.precision - 1)
    return description


def _without_empty_bits(description: Description, precision: int) -> Description:
    if precision >= description.stored:
        return description
    return replace(believe(description, "BitsStored", precision), high=precision - 1)


def _colours_of_jpeg(header: FrameHeader, stated: str) -> str:
    """Where the stream does not tell, a lossless one is RGB unless the tag says otherwise."""
    is_ybr = header.is_ybr
    if is_ybr is None:
        is_ybr = stated in _YBR_FULL or not (header.is_lossless or stated == "RGB")
    if not is_ybr:
        return "RGB"
    if stated in _YBR_FULL:
        return stated
    return "YBR_FULL" if header.is_lossless else "YBR_FULL_422"


def _of_native(frames: FrameReader, description: Description) -> Description:
    """Find samples and colours by the length of the data, planes by their likeness."""
    received = len(pixel_data(frames.dataset))
    full = replace(description, photometric="YBR_FULL", samples=3)
    one = replace(description, photometric="MONOCHROME2", samples=1)
    half = replace(full, photometric="YBR_FULL_422")
    if description.samples == 1 and description.photometric in COLOUR:
        three = pixel_data_length(full) <= received
        description = believe(description, "SamplesPerPixel", 3 if three else 1)
    if description.samples == 3 and received - pixel_data_length(one) in (0, 1):
        description = believe(description, "SamplesPerPixel", 1)
    if description.samples == 1 and description.photometric not in ONE_SAMPLE:
        return believe(description, "PhotometricInterpretation", "MONOCHROME2")
    if description.photometric == "YBR_FULL_422" and received >= pixel_data_length(full):
        return believe(description, "PhotometricInterpretation", "YBR_FULL")
    if description.photometric == "YBR_FULL" and received - pixel_data_length(half) in (0, 1):
        return believe(description, "PhotometricInterpretation", "YBR_FULL_422")
    return _of_planes(frames, description)


def _of_planes(frames: FrameReader, description: Description) -> Description:
    """Radiographs are grey: in the right order the three samples of most pixels are alike."""
    received = len(pixel_data(frames.dataset))
    if description.photometric != "RGB" or received < pixel_data_length(description):
        return description
    if _share(frames.first(description), _is_equal) > _FEW:
        return description
    other = believe(description, "PlanarConfiguration", 1 - description.planar)
    is_other = _share(decode_frame(frames.dataset, other, 0), _is_equal) > _MOST
    return other if is_other else description


def _of_colours(frames: FrameReader, description: Description) -> Description:
    """Tell RGB from YBR_FULL where a grey image shows it and its stream does not state it.

    Grey is three equal samples in one, two samples of half the range in the other.
    """
    if description.samples != 3 or description.photometric not in ("RGB", *_YBR_FULL):
        return description
    frame, half = frames.first(description), 2 ** (description.stored - 1)
    if description.photometric == "RGB":
        is_ybr = _share(frame, lambda some: (some[..., 1:] == half).all(axis=-1)) > _MOST
        photometric = "YBR_FULL" if is_ybr else "RGB"
    else:
        photometric = "RGB" if _share(frame, _is_equal) > _MOST else description.photometric
    return believe(description, "PhotometricInterpretation", photometric)


def _share(frame: NDArray[Any], test: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> float:
    """Return the share of pixels for which `test` holds, from every eighth row."""
    return float(test(frame[::8]).mean())


def _is_equal(frame: NDArray[Any]) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = (frame == frame[..., :1]).all(axis=-1)
    return equal


def _of_grey(frames: FrameReader, description: Description, *, stated: Description) -> Description:
    """Keep one sample of pixels that are stated to be grey and have three, in all frames."""
    if description.samples != 3 or stated.photometric not in _GREY:
        return description
    dataset = frames.dataset
    further = (decode_frame(dataset, description, index) for index in range(1, description.frames))
    three = [frames.first(description), *further]
    are_equal = all(_is_equal(frame).all() for frame in three)
    is_first = are_equal or description.photometric in _YBR_FULL
    one = [frame[..., 0] if is_first else _luminance(frame) for frame in three]
    dataset["PixelData"].value = b"".join(frame.tobytes() for frame in one)
    dataset["PixelData"].VR = "OB" if description.allocated == 8 else "OW"
    read = "one of three equal samples is" if are_equal else "the luminance of three samples is"
    return replace(
        description,
        syntax=ExplicitVRLittleEndian,
        samples=1,
        photometric=stated.photometric,
        planar=0,
        warnings=(
            *description.warnings,
            f"{label('PhotometricInterpretation')} contradicts the pixel data: {read} read",
        ),
    )


def _luminance(frame: NDArray[Any]) -> NDArray[Any]:
    return np.rint(frame @ _LUMINANCE).astype(frame.dtype)
