"""From one frame's stream to its samples: the strict and fast decoder first, then a second one."""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import decode as decode_by_openjpeg
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEG2000, RLELossless
from rle.utils import decode_pixel_data

from pipeline.dicom.description import Description
from pipeline.dicom.encoding.fragments import (
    encoded_frame,
    is_jpeg_2000_stream,
    is_jpeg_stream,
)
from pipeline.dicom.encoding.syntaxes import syntax_name
from pipeline.errors import damaged, too_large, unsupported
from pipeline.files.jpeg import FrameHeader, frame_header
from pipeline.files.jpeg2000 import CodeStream, read_code_stream
from pipeline.files.jpeg2000_reduced import most_halvings, read_reduced
from pipeline.files.jpeg_samples import decode_by_gdcm, read_jpeg_samples

Decoder = Callable[[bytes], NDArray[Any]]


def decode_frame(dataset: Dataset, description: Description, index: int) -> NDArray[Any]:
    """Return one frame's samples as stored: integers or floats, (H, W) or (H, W, 3).

    Unused bits are not cleared. Colours are what Photometric Interpretation says, RGB for
    YBR_RCT and YBR_ICT; those of YBR_FULL_422 are repeated. description: by `settle_layout`.
    Raises RefusedError.
    """
    if description.syntax.is_encapsulated:
        return decode_stream(encoded_frame(dataset, description, index), description)
    element = dataset[description.keyword]
    return _decode_native(element.value, description, index, vr=element.VR)


def decode_reduced(
    dataset: Dataset, description: Description, minimum_size: int
) -> tuple[NDArray[Any], int]:
    """Return the samples of a single frame, and how often its sides are halved.

    JPEG 2000 is decoded at a lower resolution of at least `minimum_size`, see `read_reduced`, where
    its pixels are values of the film alone: padding is mixed with it along its edge, and other bits
    than the value's are lost. Raises RefusedError.
    """
    if not _may_be_reduced(description):
        return decode_frame(dataset, description, 0), 0
    stream = encoded_frame(dataset, description, 0)
    if is_jpeg_2000_stream(stream):
        size = read_code_stream(stream)
        halvings = most_halvings(size, minimum_size)
        if halvings and 2 <= size.precision <= min(description.stored, 16):
            with suppress(Exception):  # the other decoders say what is wrong
                samples = read_reduced(stream, size, halvings)
                signed = size.is_signed
                return _as_described(
                    samples, description, size.precision, is_coded_signed=signed
                ), halvings
    return decode_stream(stream, description), 0


def _may_be_reduced(description: Description) -> bool:
    is_single = description.frames == 1 and description.samples == 1
    has_values_only = not (description.palette or description.padding)
    return description.syntax.is_encapsulated and is_single and has_values_only


def decode_stream(stream: bytes, description: Description) -> NDArray[Any]:
    """Return integers (H, W) or (H, W, 3), of the type that Bits Allocated stands for.

    Raises RefusedError.
    """
    if description.syntax == RLELossless:
        return _first_of(stream, description, *_rle_decoders(description))
    if is_jpeg_stream(stream):
        header = frame_header(stream)
        samples = _first_of(stream, description, *_jpeg_decoders(header))
        # A JPEG of fewer bits than are stored holds no negative values.
        is_whole = not header.is_jpeg_ls and header.precision < description.stored
        return _as_described(samples, description, header.precision, is_coded_signed=is_whole)
    size = read_code_stream(stream)
    samples = _first_of(stream, description, *_jpeg_2000_decoders(size))
    return _as_described(samples, description, size.precision, is_coded_signed=size.is_signed)


def _decode_native(
    content: bytes, description: Description, index: int, *, vr: str
) -> NDArray[Any]:
    options = _pydicom_options(description) | {"pixel_vr": vr}

    def by_pydicom(content: bytes) -> NDArray[Any]:
        decoder = get_decoder(description.syntax)
        samples, _ = decoder.as_array(content, index=index, raw=True, **options)
        return samples.astype(samples.dtype.newbyteorder("="), copy=False)

    return _first_of(content, description, by_pydicom)


def _first_of(stream: bytes, description: Description, *decoders: Decoder) -> NDArray[Any]:
    shape = (description.rows, description.columns, description.samples)
    for decode in decoders:
        try:
            samples = decode(stream)
        except MemoryError:
            raise too_large("decoding takes too much memory") from None
        except Exception:  # noqa: S112 (any error of a decoder is the file's fault)
            continue
        if samples.size == np.prod(shape):
            return samples.reshape(shape if description.samples > 1 else shape[:2])
    raise unsupported(f"the pixel data cannot be decoded as {syntax_name(description.syntax)}")


def _pydicom_options(description: Description) -> dict[str, Any]:
    """Return what pydicom's decoders need to know; the data set itself may hold odd values."""
    options: dict[str, Any] = {
        "pixel_keyword": description.keyword,
        "rows": description.rows,
        "columns": description.columns,
        "samples_per_pixel": description.samples,
        "photometric_interpretation": description.photometric,
        "number_of_frames": description.frames,
        "bits_allocated": description.allocated,
        "bits_stored": description.stored,
        "pixel_representation": int(description.is_signed),
        "view_only": True,
        "correct_unused_bits": False,  # done by callers, which consider High Bit
    }
    if description.samples > 1:
        options["planar_configuration"] = description.planar
    return options


def _as_described(
    samples: NDArray[Any], description: Description, precision: int, *, is_coded_signed: bool
) -> NDArray[Any]:
    """Return `samples` with the sign that Pixel Representation states, of at least its size.

    Encoders disagree with the tags whether samples are signed; the low bits are the same.
    """
    size = max(samples.itemsize, description.allocated // 8)
    spare = 8 * samples.itemsize - precision
    if spare > 0 and is_coded_signed != description.is_signed:
        kind = "i" if description.is_signed else "u"
        samples = (samples << spare).view(f"{kind}{samples.itemsize}") >> spare
    if not description.is_signed and is_coded_signed:
        samples = samples.view(f"u{samples.itemsize}")
    return samples.astype(f"{'i' if description.is_signed else 'u'}{size}", copy=False)


def _jpeg_decoders(header: FrameHeader) -> tuple[Decoder, ...]:
    def by_gdcm(stream: bytes) -> NDArray[Any]:
        return read_jpeg_samples(stream)[0]

    # No second one for the first kind: GDCM aborts on damaged streams, and reads no others.
    return (_decode_by_pillow,) if header.is_eight_bit_dct else (by_gdcm,)


def _decode_by_pillow(stream: bytes) -> NDArray[Any]:
    with Image.open(io.BytesIO(stream), formats=["JPEG"]) as image:
        if image.mode == "RGB" and frame_header(stream).is_ybr is not False:
            # As coded: libjpeg takes components of unstated meaning for YCbCr and converts them.
            image.draft("YCbCr", image.size)
        return np.asarray(image)


def _jpeg_2000_decoders(size: CodeStream) -> tuple[Decoder, ...]:
    def by_gdcm(stream: bytes) -> NDArray[Any]:
        shape = (size.rows, size.columns, size.components)
        return decode_by_gdcm(stream, JPEG2000, shape, size.precision)

    return decode_by_openjpeg, by_gdcm


def _rle_decoders(description: Description) -> tuple[Decoder, ...]:
    """PS3.5 annex G. The second accepts padded segments."""
    shape = (description.samples, description.rows, description.columns)

    def by_pylibjpeg(stream: bytes) -> NDArray[Any]:
        try:
            planes = decode_pixel_data(
                stream,
                version=2,
                rows=description.rows,
                columns=description.columns,
                bits_allocated=description.allocated,
            )
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the Rust code is not an Exception
            raise damaged("the RLE data are damaged") from error
        kind = "i" if description.is_signed else "u"
        samples = np.frombuffer(planes, f"<{kind}{description.allocated // 8}").reshape(shape)
        return np.moveaxis(samples, 0, -1)

    def by_pydicom(stream: bytes) -> NDArray[Any]:
        samples, _ = get_decoder(RLELossless).as_array(
            encapsulate([stream]),
            index=0,
            raw=True,
            decoding_plugin="pydicom",
            **_pydicom_options(replace(description, frames=1, planar=1)),
        )
        return samples

    return by_pylibjpeg, by_pydicom
