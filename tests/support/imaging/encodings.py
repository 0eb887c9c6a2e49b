"""DICOM files of every encoding, made from one data set of native little endian pixels."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from openjpeg.utils import encode_array
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.data.builders import save_dicom

Encode = Callable[[Dataset, Path], bytes]
_FLOATS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


def _saved(dataset: Dataset, folder: Path, *, syntax: str) -> bytes:
    return save_dicom(folder / "x.dcm", dataset, transfer_syntax=syntax).read_bytes()


def _big_endian(dataset: Dataset, folder: Path, *, vr: str) -> bytes:
    """vr: of integers; as OW, two samples of eight bits share a word (PS3.5 7.3)."""
    keyword = next((keyword for keyword in _FLOATS if keyword in dataset), "PixelData")
    bits = _FLOATS.get(keyword) or dataset.BitsAllocated
    if keyword == "PixelData":
        dataset[keyword].VR = vr
        bits = max(bits, 16 if vr == "OW" else 8)
    value = dataset[keyword].value
    words = np.frombuffer(value + bytes(len(value) % 2), f"<u{bits // 8}")
    dataset[keyword].value = words.astype(words.dtype.newbyteorder(">")).tobytes()
    for table in _table_items(dataset):
        table.LUTData = np.frombuffer(table.LUTData, "<u2").astype(">u2").tobytes()
    return _saved(dataset, folder, syntax=ExplicitVRBigEndian)


def _table_items(dataset: Dataset) -> list[Dataset]:
    sequences = ("ModalityLUTSequence", "VOILUTSequence")
    return [item for keyword in sequences for item in dataset.get(keyword) or ()]


def _rle(dataset: Dataset, folder: Path) -> bytes:
    """GDCM, which pydicom prefers, ends the process for frames of an odd length."""
    _describe(dataset)
    dataset.compress(RLELossless, generate_instance_uid=False, encoding_plugin="pydicom")
    return _encapsulated(dataset, folder)


def _jpeg_2000(dataset: Dataset, folder: Path, *, syntax: str) -> bytes:
    """Unlike `save_dicom`, encode every frame, and signed samples too."""
    _describe(dataset)
    frames = dataset.pixel_array
    frames = frames if dataset.get("NumberOfFrames", 1) > 1 else frames[np.newaxis]
    ratios = [4.0] if syntax == JPEG2000 else None
    dataset.PixelData = encapsulate(
        [
            encode_array(frame, bits_stored=dataset.BitsStored, compression_ratios=ratios)
            for frame in frames
        ]
    )
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    return _encapsulated(dataset, folder)


def _describe(dataset: Dataset) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _encapsulated(dataset: Dataset, folder: Path) -> bytes:
    dataset["PixelData"].VR = "OB"
    dataset.save_as(folder / "x.dcm", enforce_file_format=True)
    return (folder / "x.dcm").read_bytes()


# By name; the later ones take up to 16 bits of integers, the last 8 bits of one frame.
NATIVE: Final[dict[str, Encode]] = {
    "implicit": partial(_saved, syntax=ImplicitVRLittleEndian),
    "explicit": partial(_saved, syntax=ExplicitVRLittleEndian),
    "deflated": partial(_saved, syntax=DeflatedExplicitVRLittleEndian),
    "big endian OW": partial(_big_endian, vr="OW"),
    "big endian OB": partial(_big_endian, vr="OB"),
}
RLE: Final[dict[str, Encode]] = {"RLE": _rle}
STREAMS: Final[dict[str, Encode]] = {
    "JPEG lossless": partial(_saved, syntax=JPEGLosslessSV1),
    "JPEG-LS": partial(_saved, syntax=JPEGLSLossless),
    "JPEG 2000": partial(_jpeg_2000, syntax=JPEG2000Lossless),
    "JPEG 2000 lossy": partial(_jpeg_2000, syntax=JPEG2000),
}
JPEG: Final[dict[str, Encode]] = {"JPEG": partial(_saved, syntax=JPEGBaseline8Bit)}
