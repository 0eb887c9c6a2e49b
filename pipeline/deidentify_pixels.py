"""Pixel Data that hold the picture and nothing else; the picture stays the same."""

from itertools import islice

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag
from pydicom.uid import RLELossless
from rle.utils import encode_pixel_data

from pipeline.deidentify_raster import strip_jpeg
from pipeline.dicom_pixels import (
    PIXELS,
    decode_frame,
    frames,
    is_jpeg,
    is_jpeg_2000,
    pixel_data_length,
)
from pipeline.dicom_tags import integer
from pipeline.errors import RefusedError
from pipeline.jpeg_2000 import strip_jpeg_2000
from pipeline.unused_bits import clear_unused_bits

_FLOAT_VR = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}


def clean_pixels(dataset: Dataset) -> DataElement | None:
    """Return the element that holds the picture, None where there is none.

    Bytes behind the pixels, comments inside encoded frames and overlays in unused bits are
    gone. JPEG and JPEG 2000 keep their coded pixels; RLE is encoded anew.
    """
    keyword = next((keyword for keyword in PIXELS if keyword in dataset), None)
    if keyword is None:
        return None
    if keyword in _FLOAT_VR:
        length = pixel_data_length(dataset, bits=32 if keyword == "FloatPixelData" else 64)
        return DataElement(Tag(keyword), _FLOAT_VR[keyword], dataset[keyword].value[:length])
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return DataElement(Tag(keyword), "OB", encapsulate(_clean_frames(dataset)))
    return DataElement(Tag(keyword), _native_vr(dataset), _clean_native(dataset))


def _native_vr(dataset: Dataset) -> str:
    """PS3.5 A.1, A.2: OW unless the samples are bytes in an explicit transfer syntax."""
    is_implicit = dataset.file_meta.TransferSyntaxUID.is_implicit_VR
    return "OW" if is_implicit or integer(dataset, "BitsAllocated") > 8 else "OB"


def _clean_native(dataset: Dataset) -> bytes:
    length = pixel_data_length(dataset)
    pixels = dataset.PixelData[:length]
    little_endian = dataset.file_meta.TransferSyntaxUID.is_little_endian
    pixels = clear_unused_bits(pixels, dataset, little_endian=little_endian)
    return pixels + bytes(length % 2)


def _clean_frames(dataset: Dataset) -> list[bytes]:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == RLELossless:
        return [_encode_rle_anew(dataset, index) for index in range(frames(dataset))]
    count = frames(dataset)
    streams = islice(generate_frames(dataset.PixelData, number_of_frames=count), count)
    if is_jpeg(dataset):
        return [strip_jpeg(stream) for stream in streams]
    if is_jpeg_2000(dataset):
        return [strip_jpeg_2000(stream) for stream in streams]
    raise RefusedError("the transfer syntax cannot be rid of what may name the patient")


def _encode_rle_anew(dataset: Dataset, index: int) -> bytes:
    """What stands behind a segment's last run cannot be told from it without decoding."""
    frame = decode_frame(dataset, index, raw=True)
    ordered = np.ascontiguousarray(frame, frame.dtype.newbyteorder("<"))
    return encode_pixel_data(
        clear_unused_bits(ordered.tobytes(), dataset, little_endian=True),
        byteorder="<",
        rows=integer(dataset, "Rows"),
        columns=integer(dataset, "Columns"),
        samples_per_pixel=integer(dataset, "SamplesPerPixel", default=1),
        bits_allocated=integer(dataset, "BitsAllocated"),
    )
