"""Reading a DICOM file's data set within bounds."""

import io
import logging
import struct
import warnings
import zlib

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset as parse_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pipeline.errors import RefusedError, damaged, too_large, unsupported
from pipeline.limits import Limits

# pydicom quotes values, which may be patient data, in its warnings and log records.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module="pydicom")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

# Two or three for each element. Radiographs have some hundred elements; a million empty elements
# or sequence items would take a minute.
_MAX_READS = 100_000
_NO_OFFSETS = b"\xfe\xff\x00\xe0\0\0\0\0"  # an empty item, PS3.5 A.4

_META_START = 132  # preamble and prefix, PS3.10 7.1
_GROUP_LENGTH_BYTES = 12


def read_dicom(content: bytes, limits: Limits) -> Dataset:
    """Return the data set with `file_meta.TransferSyntaxUID` filled in; pixels stay encoded.

    A deflated data set is returned inflated, as Explicit VR Little Endian. Raises RefusedError
    if it is not DICOM, damaged, cut short or too large.
    """
    try:
        dataset = _inflate(content, limits) or pydicom.dcmread(_Bounded(content), force=True)
        _fill_in_syntax(dataset)
        _drop_wrong_offsets(dataset)
    except RefusedError:
        raise
    except MemoryError:
        raise too_large("reading the data set takes too much memory") from None
    except Exception:
        raise damaged("the DICOM data set is damaged: its elements cannot be parsed") from None
    if not dataset:
        raise damaged("the DICOM file is cut short: no elements can be read")
    return dataset


class _Bounded(io.BytesIO):
    """A file in memory that refuses more than `_MAX_READS` reads."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise too_large("the DICOM data set has too many elements")
        return super().read(size)


def _drop_wrong_offsets(dataset: Dataset) -> None:
    """Drop offsets of frames (PS3.5 A.4) that do not begin with 0; frames are found without them.

    Some writers count from the start of the file.
    """
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated or "PixelData" not in dataset:
        return
    pixels = dataset.PixelData
    length = int.from_bytes(pixels[4:8], "little")
    if pixels.startswith(_NO_OFFSETS[:4]) and length and any(pixels[8:12]):
        dataset.PixelData = _NO_OFFSETS + pixels[8 + length :]
    if any((dataset.get("ExtendedOffsetTable") or b"")[:8]):
        del dataset.ExtendedOffsetTable


def _fill_in_syntax(dataset: Dataset) -> None:
    """For files without meta information, take the transfer syntax that pydicom has guessed."""
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax and not syntax.is_transfer_syntax:
        raise unsupported("Transfer Syntax UID (0002,0010) is private or unknown")
    if not syntax:
        implicit, little = dataset.original_encoding
        if not little:
            raise damaged("Transfer Syntax UID (0002,0010) is missing from a big endian file")
        guess = ImplicitVRLittleEndian if implicit in (True, None) else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = guess


def _inflate(content: bytes, limits: Limits) -> Dataset | None:
    """Return a deflated data set (PS3.5 A.5), None if the file is not deflated.

    pydicom would inflate it without a bound.
    """
    head = content[_META_START : _META_START + 4096]
    if content[128:132] != b"DICM" or DeflatedExplicitVRLittleEndian.encode() not in head:
        return None
    tag, vr, length, group_length = struct.unpack("<4s2sHI", head[:_GROUP_LENGTH_BYTES])
    if (tag, vr, length) != (b"\x02\x00\x00\x00", b"UL", 4):
        raise damaged("File Meta Information Group Length (0002,0000) is missing")
    start = _META_START + _GROUP_LENGTH_BYTES + group_length
    meta = pydicom.dcmread(io.BytesIO(content[:start]), force=True).file_meta
    if meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        return None
    dataset = parse_dataset(
        _Bounded(_inflate_bytes(content[start:], limits)),
        is_implicit_VR=False,
        is_little_endian=True,
    )
    dataset.file_meta = meta
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _inflate_bytes(deflated: bytes, limits: Limits) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(deflated, limits.max_bytes + 1)
    except zlib.error:
        raise damaged("the deflated data set is damaged") from None
    limits.check_bytes(len(inflated))
    if not inflater.eof:
        raise damaged("the deflated data set is cut short")
    return inflated
