"""Small generated radiographs in many formats."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

# One lossless transfer syntax of each kind.
LOSSLESS = [
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
]
_BY_PILLOW: dict[str, tuple[str, dict[str, Any]]] = {
    JPEG2000Lossless: ("JPEG2000", {"no_jp2": True, "irreversible": False}),
    JPEGBaseline8Bit: ("JPEG", {"quality": 98}),
}
_BY_GDCM = (JPEGLosslessSV1, JPEGLSLossless)

INVENTED_PATIENT: dict[str, Any] = {
    "PatientName": "Testperson^Invented",
    "PatientID": "INVENTED-4711",
    "PatientBirthDate": "19010203",
    "OtherPatientIDs": "ALSO-INVENTED-0815",
    "AccessionNumber": "ACC-INVENTED-99",
    "ReferringPhysicianName": "Referrer^Invented",
    "InstitutionName": "Invented Hospital",
    "StudyDescription": "Chest of Testperson",
}


def make_picture(rows: int = 96, columns: int = 128, *, top: int = 255) -> NDArray[Any]:
    """Return integers (rows, columns) from 0 to `top`: two dark fields on a bright background."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    fields = sum(np.exp(-(((x - c) / 0.16) ** 2) - ((y - 0.5) / 0.3) ** 2) for c in (0.28, 0.72))
    picture = np.clip(0.35 + 0.6 * y - 0.7 * fields + 0.1 * x, 0, None)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.rint(picture * top).astype(np.uint16 if top > 255 else np.uint8)


def make_dataset(
    pixels: NDArray[Any] | None = None, *, bits_stored: int | None = None, **attributes: Any
) -> Dataset:
    """Return a data set with these stored pixels: (H, W), (frames, H, W) or (H, W, 3).

    Attributes given by keyword replace those made here; None removes one.
    """
    pixels = make_picture() if pixels is None else pixels
    is_colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    dataset = Dataset()
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Modality = "CR"
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "PA"
    dataset.PatientName = INVENTED_PATIENT["PatientName"]
    dataset.PatientID = INVENTED_PATIENT["PatientID"]
    dataset.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    dataset.SamplesPerPixel = 3 if is_colour else 1
    if is_colour:
        dataset.PlanarConfiguration = 0
    shape = pixels.shape[:2] if is_colour else pixels.shape[-2:]
    dataset.Rows, dataset.Columns = shape
    if pixels.ndim == 3 and not is_colour:
        dataset.NumberOfFrames = len(pixels)
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = bits_stored or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def make_dicom(
    path: Path,
    pixels: NDArray[Any] | None = None,
    *,
    transfer_syntax: str = ExplicitVRLittleEndian,
    bits_stored: int | None = None,
    **attributes: Any,
) -> Path:
    """Write a DICOM file; see `make_dataset`."""
    dataset = make_dataset(pixels, bits_stored=bits_stored, **attributes)
    return save_dicom(path, dataset, transfer_syntax=transfer_syntax)


def save_dicom(
    path: Path, dataset: Dataset, *, transfer_syntax: str = ExplicitVRLittleEndian
) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if transfer_syntax in _BY_PILLOW:
        kind, options = _BY_PILLOW[transfer_syntax]
        frame = dataset.pixel_array
        dataset.PixelData = encapsulate([encoded(frame, kind, **options)])
        dataset["PixelData"].VR = "OB"
    elif transfer_syntax == RLELossless:
        dataset.compress(transfer_syntax, generate_instance_uid=False)
    if transfer_syntax not in _BY_GDCM:
        dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    dataset.save_as(path, enforce_file_format=True)
    if transfer_syntax in _BY_GDCM:
        _transcode_by_gdcm(path, transfer_syntax)
    return path


def _transcode_by_gdcm(path: Path, transfer_syntax: str) -> None:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    kind = gdcm.TransferSyntax.GetTSType(str(transfer_syntax))
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def make_lut(entries: NDArray[Any], *, first: int, bits: int) -> Dataset:
    """Return an item of a Modality or VOI LUT Sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, bits]
    item.LUTData = entries.astype("<u2").tobytes()
    item["LUTDescriptor"].VR = "US"
    item["LUTData"].VR = "OW"
    return item


def make_raster(path: Path, pixels: NDArray[Any] | None = None, **options: Any) -> Path:
    """Write PNG, JPEG, TIFF, BMP ... by the path's suffix; options go to the encoder."""
    Image.fromarray(make_picture() if pixels is None else pixels).save(path, **options)
    return path


def make_png(path: Path, pixels: NDArray[Any] | None = None, **options: Any) -> Path:
    return make_raster(path, pixels, format="PNG", **options)


def make_jpeg(path: Path, pixels: NDArray[Any] | None = None, **options: Any) -> Path:
    return make_raster(path, pixels, format="JPEG", **{"quality": 95} | options)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(content: bytes, *chunks: bytes) -> bytes:
    """Return the PNG with further chunks after its header."""
    header_end = 8 + 25
    return content[:header_end] + b"".join(chunks) + content[header_end:]


def jpeg_with(content: bytes, *, marker: int, body: bytes) -> bytes:
    """Return the JPEG with a further segment after its start marker."""
    return content[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + content[2:]


def encoded(pixels: NDArray[Any], kind: str, *, mode: str | None = None, **options: Any) -> bytes:
    """mode: of Pillow, else the one that fits the pixels."""
    target = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(target, kind, **options)
    return target.getvalue()


def change_frame(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Replace a DICOM file's only frame by `change(frame)`, the frame without its padding."""
    dataset = pydicom.dcmread(path)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1).rstrip(b"\0")
    dataset.PixelData = encapsulate([change(frame)])
    dataset.save_as(path)
    return path
