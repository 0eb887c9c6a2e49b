"""De-identified DICOM files (PS3.15 annex E, Basic Profile).

A new data set is written from the attributes listed in `attributes`; nothing is copied that could
contain free text. Sex and age are kept in the image's row of the database (`kept_tags`), where
readers see them, but not in the file.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

from pipeline.deidentify.attributes import CODES, EMPTY, UIDS
from pipeline.deidentify.elements import image_elements
from pipeline.deidentify.pixels import clean_pixels
from pipeline.dicom.attributes import label, term, text
from pipeline.dicom.description import Description
from pipeline.dicom.image import FirstFrame
from pipeline.errors import RefusalCode, RefusedError, damaged, not_an_image, too_large
from pipeline.files.sniff import DICOM
from pipeline.pseudonym import LONGEST_IDENTIFIER, Pseudonyms, patient_question, uid_of_hash
from pipeline.types import Deidentified

_METHOD = "Overread: PS3.15 E Basic Profile, kept attributes listed"
_STUDY = "study"


def deidentify_dataset(
    dataset: Dataset, first: FirstFrame, *, pseudonyms: Pseudonyms
) -> Deidentified:
    """Return a DICOM file with only the attributes that the image and its study need.

    first: of `dataset`. pseudonyms: asked once. Raises RefusedError if the file cannot be written.
    """
    questions = _questions(dataset, first.description)
    hashes = dict(zip(questions, pseudonyms(list(questions.values())), strict=True))
    try:
        kept = _kept(dataset, first, hashes)
        target = io.BytesIO()
        pydicom.dcmwrite(target, kept, enforce_file_format=True)
    except RefusedError:
        raise
    except MemoryError:
        raise too_large("de-identifying the file takes too much memory") from None
    except Exception:
        raise RefusedError(RefusalCode.OTHER, "the DICOM file cannot be de-identified") from None
    return Deidentified(
        blob=target.getvalue(),
        media_type=DICOM,
        study_uid_hash=hashes.get(_STUDY),
        patient_hash=hashes.get("PatientID"),
        sop_instance_uid=str(kept.SOPInstanceUID),
    )


def _questions(dataset: Dataset, description: Description) -> dict[str, tuple[str, ...]]:
    """Return by keyword what a keyed hash is needed of; `_STUDY` is the study's other one."""
    questions: dict[str, tuple[str, ...]] = {}
    if patient_id := _identifier(dataset, "PatientID"):
        issuer = _identifier(dataset, "IssuerOfPatientID")
        questions["PatientID"] = patient_question(patient_id, issuer=issuer)
    if study_uid := _identifier(dataset, "StudyInstanceUID"):
        questions[_STUDY] = "study", study_uid
    for keyword in UIDS:
        if uid := _identifier(dataset, keyword):
            questions[keyword] = "uid", uid
    if "SOPInstanceUID" not in questions:  # required: derived from the pixels
        questions["SOPInstanceUID"] = "uid", _pixel_digest(dataset, description)
    return questions


def _pixel_digest(dataset: Dataset, description: Description) -> str:
    """Return the SHA-256 of an image's pixels; that of float samples covers the image's size too.

    That of Pixel Data does not, so that an image keeps the pseudonym that it was given before.
    """
    keyword = description.keyword
    digest = hashlib.sha256(dataset[keyword].value or b"")
    if keyword != "PixelData":
        digest.update(f"{keyword} {description.rows}".encode())
    return digest.hexdigest()


def _identifier(dataset: Dataset, keyword: str) -> str:
    value = text(dataset, keyword)
    if len(value) > LONGEST_IDENTIFIER:
        raise too_large(f"{label(keyword)} is too long")
    return value


def read_sop_instance_uid(path: Path) -> str:
    """Return the SOP Instance UID (PS3.3 C.12.1.1.1) of a DICOM file, without reading its pixels.

    Raises RefusedError if there is none.
    """
    try:
        found = pydicom.dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True)
    except pydicom.errors.InvalidDicomError:
        raise not_an_image("not a DICOM file") from None
    if not (uid := text(found, "SOPInstanceUID")):
        raise damaged("SOP Instance UID (0008,0018) is missing")
    return uid


def _kept(dataset: Dataset, first: FirstFrame, hashes: Mapping[str, str]) -> Dataset:
    kept = Dataset()
    for keyword in EMPTY:
        setattr(kept, keyword, "")
    _add_image(kept, dataset, first)
    for keyword in UIDS:
        if keyword in hashes:
            setattr(kept, keyword, uid_of_hash(hashes[keyword]))
    kept.SOPClassUID = _sop_class(dataset)
    kept.PatientID = hashes.get("PatientID", "")
    kept.file_meta.MediaStorageSOPClassUID = kept.SOPClassUID
    kept.file_meta.MediaStorageSOPInstanceUID = kept.SOPInstanceUID
    kept.PatientIdentityRemoved = "YES"
    kept.DeidentificationMethod = _METHOD
    kept.LongitudinalTemporalInformationModified = "REMOVED"
    profile = Dataset()
    profile.CodeValue, profile.CodingSchemeDesignator = "113100", "DCM"
    profile.CodeMeaning = "Basic Application Confidentiality Profile"
    kept.DeidentificationMethodCodeSequence = [profile]
    return kept


def _add_image(kept: Dataset, dataset: Dataset, first: FirstFrame) -> None:
    pixels, syntax = clean_pixels(dataset, first)
    kept.file_meta = FileMetaDataset()
    kept.file_meta.TransferSyntaxUID = syntax
    for element in (*image_elements(dataset, first.description), pixels):
        kept.add(element)
    for keyword in CODES:
        if value := term(dataset, keyword):
            setattr(kept, keyword, value.split("\\") if "\\" in value else value)


def _sop_class(dataset: Dataset) -> str:
    """Return a class of the standard; any other UID may identify someone."""
    uid = pydicom.uid.UID(text(dataset, "SOPClassUID"))
    is_known = uid.name != str(uid) and uid.type == "SOP Class"
    return str(uid) if is_known else str(pydicom.uid.SecondaryCaptureImageStorage)
