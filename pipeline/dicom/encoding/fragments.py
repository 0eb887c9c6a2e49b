"""Encapsulated pixel data (PS3.5 A.4): fragments, and the encoded frames that they make up."""

import struct
from collections.abc import Iterator
from itertools import islice

from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, generate_frames, get_frame

from pipeline.dicom.description import Description
from pipeline.errors import damaged
from pipeline.files.jpeg import trim_jpeg
from pipeline.files.jpeg2000 import SIGNATURES as JPEG_2000
from pipeline.files.jpeg2000 import trim_jpeg_2000

_ITEM = {"little": b"\xfe\xff\x00\xe0", "big": b"\xff\xfe\xe0\x00"}
_JPEG = b"\xff\xd8\xff"
_DAMAGED = "Pixel Data (7FE0,0010) is cut short or its fragments are damaged"


def pixel_data(dataset: Dataset) -> bytes:
    value: bytes = dataset["PixelData"].value or b""
    return value


def is_fragmented(dataset: Dataset, description: Description) -> bool:
    """Whether Pixel Data begins with the tag of an item, as the file's byte order writes it."""
    return pixel_data(dataset).startswith(_ITEM[_byte_order(description)])


def fragments(dataset: Dataset, description: Description) -> list[bytes]:
    """Return all items of Pixel Data; the first may be a table of offsets. Raises RefusedError."""
    order = "<" if _byte_order(description) == "little" else ">"
    try:
        return list(generate_fragments(pixel_data(dataset), endianness=order))
    except Exception:
        raise damaged(_DAMAGED) from None


def encoded_frame(dataset: Dataset, description: Description, index: int) -> bytes:
    """Return one frame's stream, up to its end marker if it has one. Raises RefusedError."""
    try:
        stream = get_frame(
            pixel_data(dataset),
            index,
            number_of_frames=description.frames,
            extended_offsets=_extended_offsets(dataset),
        )
    except Exception:
        raise damaged(_DAMAGED) from None
    return trim(stream)


def encoded_frames(dataset: Dataset, description: Description) -> Iterator[bytes]:
    """Yield the streams of all frames, see `encoded_frame`. Raises RefusedError."""
    frames = generate_frames(
        pixel_data(dataset),
        number_of_frames=description.frames,
        extended_offsets=_extended_offsets(dataset),
    )
    try:
        for stream in islice(frames, description.frames):
            yield trim(stream)
    except (ValueError, IndexError):
        raise damaged(_DAMAGED) from None


def trim(stream: bytes) -> bytes:
    """Drop what stands behind the end marker: padding (PS3.5 A.4), or anything else."""
    if is_jpeg_stream(stream):
        return trim_jpeg(stream)
    return trim_jpeg_2000(stream) if is_jpeg_2000_stream(stream) else stream


def pixel_data_length(description: Description) -> int:
    """Return the bytes of pixels that are not encapsulated (PS3.5 8.1.1), without padding."""
    total = description.rows * description.columns * description.samples
    total *= description.allocated * description.frames
    if description.photometric == "YBR_FULL_422":
        total = total * 2 // 3
    return (total + 7) // 8


def is_stream(content: bytes) -> bool:
    """Whether the bytes begin as JPEG, JPEG-LS or JPEG 2000 do."""
    return is_jpeg_stream(content) or is_jpeg_2000_stream(content)


def is_rle_stream(content: bytes, description: Description) -> bool:
    """Whether the bytes begin with the header of RLE (PS3.5 G.5)."""
    segments = description.samples * -(-description.allocated // 8)
    return content.startswith(struct.pack("<2L", segments, 64))


def is_jpeg_stream(stream: bytes) -> bool:
    return stream.startswith(_JPEG)


def is_jpeg_2000_stream(stream: bytes) -> bool:
    return stream.startswith(JPEG_2000)


def _byte_order(description: Description) -> str:
    is_little = description.syntax.is_encapsulated or description.syntax.is_little_endian
    return "little" if is_little else "big"


def _extended_offsets(dataset: Dataset) -> tuple[bytes, bytes] | None:
    if "ExtendedOffsetTable" not in dataset or "ExtendedOffsetTableLengths" not in dataset:
        return None
    return dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths
