"""Which patient and which split an imported image belongs to. Decides, does nothing."""

from dataclasses import dataclass
from typing import Final

from models.learning.datasets import NewImage
from models.tables.learning import LabelValue
from pipeline.pseudonym import patient_pseudonym, pseudonym
from pipeline.training.data.splits import assign_split, imported_split, known_patient_of
from pipeline.training.labelled.contents import Blob
from pipeline.training.labelled.image import LabelledImage
from pipeline.types import Split

_VALUES: Final = {0: LabelValue.NORMAL, 1: LabelValue.PNEUMONIA}
_FILE_LENGTH: Final = 1024


@dataclass(frozen=True)
class DicomIdentity:
    """Keyed hashes of the DICOM patient and study; None where the file is not DICOM."""

    patient_hash: str | None = None
    study_hash: str | None = None


def place(
    blob: Blob, identity: DicomIdentity, *, dataset: str, stated: frozenset[Split], key: bytes
) -> tuple[NewImage, bool]:
    """Return the row to add, and whether the blob's copies lie in several splits.

    Of several splits the one of highest rank counts. stated: splits that the data set has.
    """
    splits = {
        file: decide_split(file, stated=stated, patient_hash=_stated_patient(file, identity, key))
        for file in blob.files
    }
    first = max(blob.files, key=lambda file: splits[file].rank)
    image = NewImage(
        sha256=blob.sha256,
        file=first.file[-_FILE_LENGTH:],
        patient_hash=_stated_patient(first, identity, key)
        or _named_patient(first, dataset=dataset, key=key),
        study_hash=identity.study_hash,
        split=splits[first],
        value=_VALUES[first.label],
    )
    return image, len(set(splits.values())) > 1


def decide_split(
    file: LabelledImage, *, stated: frozenset[Split], patient_hash: str | None
) -> Split:
    """Keep the split that the data set states; take what it lacks from train by patients.

    patient_hash: of the patient that the DICOM file or a table states, who gets the split that the
    site's patients get. A file name of the public sets goes before it: a shipped network may have
    been trained on that patient.
    """
    if file.split in (Split.VALIDATION, Split.TEST):
        return file.split
    if stated >= {Split.VALIDATION, Split.TEST}:
        return Split.TRAIN
    known = known_patient_of(file.path.name)
    if patient_hash is not None and known is None:
        split = assign_split(patient_hash)
    else:
        split = imported_split(known or file.patient)
    return Split.VALIDATION if split is Split.TEST and Split.TEST in stated else split


def _stated_patient(file: LabelledImage, identity: DicomIdentity, key: bytes) -> str | None:
    if identity.patient_hash is None and file.is_patient_stated:
        return patient_pseudonym(key, file.patient)
    return identity.patient_hash


def _named_patient(file: LabelledImage, *, dataset: str, key: bytes) -> str:
    """By the public sets' naming; any other file is a patient of its own.

    Not by such a name alone: two sets may both hold a file 1.png.
    """
    known = known_patient_of(file.path.name)
    if known is not None:
        return patient_pseudonym(key, known)
    return pseudonym(key, "imported file", dataset, file.file)
