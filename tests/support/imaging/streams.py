"""Encoded frames, and DICOM files that hold them under any transfer syntax."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ImplicitVRLittleEndian

from tests.support.data.builders import encoded, make_dataset, make_dicom, make_picture

# Lossless HTJ2K, which no installed library writes, and its pixels.
HTJ2K_STREAM = base64.b64decode(
    "/0//UQApQAAAAAAgAAAAIAAAAAAAAAAAAAAAIAAAACAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBE"
    "AB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAALEAAf+TwAAms/0F"
    "B3QAwAATQAATAEj+Agd0AEj+Agd0AMAAE0AAE4AiIgGCdAAiRf4AY1QAwAAVMAAFUBAIBPKqcQJ1AJAQCOTAIQHstg"
    "DAABXQAAWihmEYhmEY58p6enCCeABGwzAMwzD+/YQge/YQgey6AMAALVgABa7u7u7u7u7u7vn/AKenp6enp6fCfQDe"
    "3d3d3d3d3f94Zye/fJ798nv3yey/AP/Z"
)
HTJ2K_PIXELS = np.fromfunction(lambda row, column: 16 * (row + column), (32, 32)).astype(np.uint16)


def frame_of(folder: Path, pixels: NDArray[Any], syntax: str, **attributes: Any) -> bytes:
    path = make_dicom(folder / "frame.dcm", pixels, transfer_syntax=syntax, **attributes)
    return get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)


def jpeg_2000(pixels: NDArray[Any], **options: Any) -> bytes:
    return encoded(pixels, "JPEG2000", no_jp2=True, irreversible=False, **options)


def written(value: bytes, syntax: str, **attributes: Any) -> bytes:
    """Return a DICOM file with this value of Pixel Data, under a syntax that may not allow it.

    Fragments are written with undefined length.
    """
    dataset = make_dataset(attributes.pop("pixels", make_picture()), **attributes)
    dataset.PixelData = value + bytes(len(value) % 2)
    dataset["PixelData"].is_undefined_length = value.startswith(b"\xfe\xff\x00\xe0")
    body, head = io.BytesIO(), DicomBytesIO()
    dataset.save_as(body, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    write_file_meta_info(head, meta)
    return bytes(128) + b"DICM" + head.getvalue() + body.getvalue()
