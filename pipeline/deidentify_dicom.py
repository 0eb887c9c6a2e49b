"""DICOM without what names its patient (PS3.15 annex E, Basic Profile).

The profile lists what to remove; we list what to keep and drop all else, private groups and
overlays included, so that an attribute nobody thought of cannot slip through.
"""

import hashlib
import io
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence

from pipeline.deidentify import Deidentified
from pipeline.deidentify_raster import strip_jpeg
from pipeline.dicom_pixels import frames, is_jpeg, pixel_data_length
from pipeline.dicom_tags import code, kept_tags, text
from pipeline.errors import RefusedError
from pipeline.pseudonym import patient_pseudonym, pseudonym, pseudonymous_uid
from pipeline.sniff import DICOM

# What the picture is made from: PS3.3 C.7.6.3, C.7.6.24, C.7.5.1.1.2, C.11.1, C.11.2.
_PICTURE = (
    "SamplesPerPixel",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelAspectRatio",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
)
_CODES = ("VOILUTFunction", "PresentationLUTShape", "LossyImageCompression")
_TABLES = ("ModalityLUTSequence", "VOILUTSequence")
_TABLE_ITEM = ("LUTDescriptor", "LUTData")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
# PS3.16 CID 7050, 113100: Basic Application Confidentiality Profile.
_METHOD = "Overread: PS3.15 E Basic Profile, kept attributes listed"


def deidentify_dataset(dataset: Dataset, *, key: bytes) -> Deidentified:
    """Return the DICOM file with only the attributes that picture and study need.

    Encoded pixels stay byte for byte as they are, except that comments inside JPEG
    streams are cut out. Raises RefusedError if the file cannot be written.
    """
    patient_id, study_uid = text(dataset, "PatientID"), text(dataset, "StudyInstanceUID")
    issuer = text(dataset, "IssuerOfPatientID")
    patient_hash = patient_pseudonym(key, patient_id, issuer=issuer) if patient_id else None
    try:
        kept = _kept(dataset, key, patient_hash)
        content = _write(kept, dataset)
    except Exception:
        raise RefusedError("the DICOM file cannot be written without its patient's data") from None
    return Deidentified(
        content=content,
        media_type=DICOM,
        study_uid_hash=pseudonym(key, "study", study_uid) if study_uid else None,
        patient_hash=patient_hash,
        sop_instance_uid=str(kept.SOPInstanceUID),
    )


def read_sop_instance_uid(path: Path) -> str:
    """Return the SOP Instance UID (PS3.3 C.12.1.1.1) of a DICOM file, without reading its pixels.

    Raises RefusedError where there is none to read.
    """
    try:
        found = pydicom.dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True)
    except pydicom.errors.InvalidDicomError:
        raise RefusedError("this is no DICOM file") from None
    if not (uid := text(found, "SOPInstanceUID")):
        raise RefusedError("SOP Instance UID (0008,0018) is missing")
    return uid


def _kept(dataset: Dataset, key: bytes, patient_hash: str | None) -> Dataset:
    kept = Dataset()
    for keyword in _PICTURE:  # numbers and binary values: no room for text
        if keyword in dataset:
            kept[keyword] = dataset[keyword]
    for keyword in _CODES:
        if code(dataset, keyword):
            setattr(kept, keyword, code(dataset, keyword))
    for keyword in _TABLES:
        if dataset.get(keyword):
            setattr(kept, keyword, Sequence([_kept_table(dataset[keyword].value[0])]))
    for keyword, value in kept_tags(dataset).items():
        setattr(kept, keyword, value.split("\\") if "\\" in value else value)
    for keyword in _UIDS:
        if text(dataset, keyword):
            setattr(kept, keyword, pseudonymous_uid(key, text(dataset, keyword)))
    if "SOPInstanceUID" not in kept:  # a file must have one: made from its content
        digest = hashlib.sha256(dataset.get("PixelData") or b"").hexdigest()
        kept.SOPInstanceUID = pseudonymous_uid(key, digest)
    kept.SOPClassUID = _sop_class(dataset)
    kept.PatientName = ""
    kept.PatientID = patient_hash or ""
    kept.PatientIdentityRemoved = "YES"
    kept.DeidentificationMethod = _METHOD
    if is_jpeg(dataset):
        kept.PixelData = _without_comments(dataset)
        kept["PixelData"].VR = "OB"
    elif not dataset.file_meta.TransferSyntaxUID.is_encapsulated and "PixelData" in kept:
        expected = pixel_data_length(dataset)  # nothing may hide behind the pixels
        kept["PixelData"].value = dataset.PixelData[: expected + expected % 2]
    return kept


def _kept_table(item: Dataset) -> Dataset:
    table = Dataset()
    for keyword in _TABLE_ITEM:
        if keyword in item:
            table[keyword] = item[keyword]
    table.ModalityLUTType = "US"  # required (PS3.3 C.11.1); US stands for unspecified
    return table


def _sop_class(dataset: Dataset) -> str:
    """A storage class of the standard; anything else may be an identifier in disguise."""
    uid = pydicom.uid.UID(text(dataset, "SOPClassUID"))
    return str(uid) if uid.name != str(uid) else str(pydicom.uid.SecondaryCaptureImageStorage)


def _without_comments(dataset: Dataset) -> bytes:
    streams = generate_frames(dataset.PixelData, number_of_frames=frames(dataset))
    return encapsulate([strip_jpeg(stream) for stream in streams])


def _write(kept: Dataset, dataset: Dataset) -> bytes:
    kept.file_meta = FileMetaDataset()
    kept.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    kept.file_meta.MediaStorageSOPClassUID = kept.SOPClassUID
    kept.file_meta.MediaStorageSOPInstanceUID = kept.SOPInstanceUID
    target = io.BytesIO()
    pydicom.dcmwrite(target, kept, enforce_file_format=True)
    return target.getvalue()
