"""Pixel Data with the image and nothing else; the image itself does not change.

Old devices drew overlays into bits that are allocated to samples but not stored (PS3.5 8.1.1,
retired): names there would remain when the overlay's tags are removed.
"""

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless
from rle.utils import encode_pixel_data

from pipeline.deidentify.raster import strip_jpeg
from pipeline.dicom.description import Description
from pipeline.dicom.encoding.codecs import decode_frame
from pipeline.dicom.encoding.fragments import encoded_frames, pixel_data_length
from pipeline.dicom.encoding.syntaxes import is_jpeg, is_jpeg_2000
from pipeline.dicom.image import FirstFrame
from pipeline.dicom.padding import has_padding_value
from pipeline.dicom.pixels import has_unused_bits
from pipeline.dicom.stored_values import clear_other_bits, sample_bits
from pipeline.errors import unsupported
from pipeline.files.jpeg import precision, read_jpeg
from pipeline.files.jpeg2000 import precision_2000, strip_jpeg_2000

_FLOATS = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}  # VR


def clean_pixels(dataset: Dataset, first: FirstFrame) -> tuple[DataElement, UID]:
    """Return the element with the pixels of a decodable image, and its transfer syntax.

    Samples that are not encapsulated become little endian, with explicit VRs. Bytes after the
    pixels, comments within encoded frames and overlays in unused bits are removed. JPEG and JPEG
    2000 keep their coded pixels, unless the unused bits of a lossless one are not empty: it is
    re-encoded as RLE, as RLE is. Raises RefusedError.
    """
    description = first.description
    syntax, keyword = description.syntax, description.keyword
    if keyword in _FLOATS:
        vr, syntax = _FLOATS[keyword], ExplicitVRLittleEndian
        value = _little_endian(dataset, description)[: pixel_data_length(description)]
    elif not syntax.is_encapsulated:
        native = _little_endian(dataset, description)[: pixel_data_length(description)]
        value = _clear_unused_bits(native, description)
        vr = "OW" if description.allocated > 8 else "OB"  # PS3.5 A.2
        value, syntax = value + bytes(len(value) % 2), ExplicitVRLittleEndian
    elif syntax == RLELossless or _has_overlay(dataset, first):
        vr, value, syntax = "OB", encapsulate(_reencoded_frames(dataset, first)), RLELossless
    elif is_jpeg(syntax):
        streams = encoded_frames(dataset, description)
        vr, value = "OB", encapsulate([strip_jpeg(read_jpeg(stream)) for stream in streams])
    elif is_jpeg_2000(syntax):
        streams = encoded_frames(dataset, description)
        vr, value = "OB", encapsulate([strip_jpeg_2000(stream) for stream in streams])
    else:
        raise unsupported("files of this transfer syntax cannot be de-identified")
    return DataElement(Tag(keyword), vr, value), syntax


def _little_endian(dataset: Dataset, description: Description) -> bytes:
    """Return samples that are not encapsulated, in little endian byte order.

    Two samples of eight bits share a word where the VR is OW (PS3.5 7.3).
    """
    content: bytes = dataset[description.keyword].value
    bits = description.allocated
    if bits == 8 and dataset[description.keyword].VR == "OW":
        bits = 16
    if description.syntax.is_little_endian or bits < 16:
        return content
    words = np.frombuffer(content, f">u{bits // 8}", len(content) // (bits // 8))
    return words.astype(words.dtype.newbyteorder("<")).tobytes()


def _clear_unused_bits(content: bytes, description: Description) -> bytes:
    """Return little endian samples with nothing but their values, signed ones sign-extended.

    Padding keeps its value, which may exceed the stored bits.
    """
    if description.allocated not in (8, 16, 32) or description.stored == description.allocated:
        return content
    size = description.allocated // 8
    kind = f"{'i' if description.is_signed else 'u'}{size}"
    samples = np.frombuffer(content, f"<{kind}", len(content) // size).astype(kind, copy=False)
    cleared = clear_other_bits(samples, sample_bits(samples, description))
    if (cleared == samples).all():
        return content
    padding = has_padding_value(samples[np.newaxis], description.padding)
    if padding is not None:
        cleared = np.where(padding[0], samples, cleared)
    return bytes(cleared.astype(f"<{kind}").tobytes()) + content[samples.nbytes :]


def _has_overlay(dataset: Dataset, first: FirstFrame) -> bool:
    """Whether the unused bits of a lossless image are not empty."""
    if not _may_have_other_bits(dataset, first.description):
        return False
    return any(_samples(dataset, first, index)[1] for index in range(first.description.frames))


def _may_have_other_bits(dataset: Dataset, description: Description) -> bool:
    """Most streams state no more bits than the tags do, so they need not be decoded."""
    syntax = description.syntax
    if not has_unused_bits(description):
        return False
    if not (is_jpeg(syntax) or is_jpeg_2000(syntax)):
        return True
    precision_of = precision_2000 if is_jpeg_2000(syntax) else precision
    streams = encoded_frames(dataset, description)
    return any(precision_of(stream) > description.stored for stream in streams)


def _reencoded_frames(dataset: Dataset, first: FirstFrame) -> list[bytes]:
    """Decode and encode RLE, since bytes after a segment's last run can only be found so."""
    description = first.description
    return [
        encode_pixel_data(
            _samples(dataset, first, index)[0],
            byteorder="<",
            rows=description.rows,
            columns=description.columns,
            samples_per_pixel=description.samples,
            bits_allocated=description.allocated,
        )
        for index in range(description.frames)
    ]


def _samples(dataset: Dataset, first: FirstFrame, index: int) -> tuple[bytes, bool]:
    """Return a frame's samples with their unused bits cleared, and whether any was set."""
    description = first.description
    frame = decode_frame(dataset, description, index) if index else first.samples
    allocated = np.dtype(f"<{frame.dtype.kind}{description.allocated // 8}")
    found = np.ascontiguousarray(frame, allocated).tobytes()
    cleared = _clear_unused_bits(found, description)
    return cleared, cleared != found
