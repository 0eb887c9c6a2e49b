"""Which labelled images a snapshot includes, with their patient and split. Decides, does nothing.

Patient: named by a label, by DICOM, by an imported data set, or by the file name in a public set's
pattern; else the folder of the file counts as one patient.
Split: a site's patients by keyed hash, an imported set's as fixed at its import. A test image stays
one, and an image that a network was trained on stays where it was; other images of their patients
follow. So a patient who is named later does not bring training images into the test split.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.learning.labelled_blobs import LabelledBlob
from models.learning.snapshots import LEARNABLE, SITE, Member, PastMember
from pipeline.pseudonym import patient_pseudonym
from pipeline.training.data.splits import assign_split, known_patient_of
from pipeline.types import Split


@dataclass(frozen=True)
class Candidate:
    """A member, unless it is a leak. study_hash: of the DICOM study, where the file states one."""

    member: Member
    study_hash: str | None


def decide_members(
    blobs: Iterable[LabelledBlob], *, past: Mapping[str, PastMember], key: bytes
) -> list[Candidate]:
    """Return all blobs labelled pneumonia or normal. past: members of earlier snapshots."""
    learnable = [blob for blob in blobs if blob.label.value in LEARNABLE]
    patients = _patients(learnable, key=key)
    binding = {
        blob.label.sha256: before
        for blob in learnable
        if (before := past.get(blob.label.sha256)) is not None
        and _is_binding(before, blob, patients[blob.label.sha256])
    }
    earlier = _earlier_splits(patients, binding)
    return [_candidate(blob, patients[blob.label.sha256], binding, earlier) for blob in learnable]


def _patients(blobs: Sequence[LabelledBlob], *, key: bytes) -> dict[str, str]:
    """By SHA-256. Where labels name one patient for images of one DICOM patient, the other images
    of that DICOM patient are of the named one, too.
    """
    named: dict[str, set[str]] = {}
    for blob in blobs:
        for file in blob.site:
            if blob.label.patient_hash and file.patient_hash:
                named.setdefault(file.patient_hash, set()).add(blob.label.patient_hash)
    same = {by_dicom: next(iter(names)) for by_dicom, names in named.items() if len(names) == 1}
    found = {blob.label.sha256: _patient(blob, key=key) for blob in blobs}
    return {sha256: same.get(patient, patient) for sha256, patient in found.items()}


def _patient(blob: LabelledBlob, *, key: bytes) -> str:
    """Return the keyed hash of the patient, from the most reliable source."""
    known = [known_patient_of(file.name) for file in blob.site]
    sources = (
        blob.label.patient_hash,
        *(file.patient_hash for file in blob.site),
        blob.imported.patient_hash if blob.imported else None,
        *(patient_pseudonym(key, name) for name in known if name is not None),
        *(file.study_hash for file in blob.site),
    )
    return next(source for source in sources if source)


def _is_binding(before: PastMember, blob: LabelledBlob, patient: str) -> bool:
    """Not if a folder stood for a patient who is named by now, and no network was trained on it.

    Else a folder of many patients, labelled before anyone named them, would be one split for ever.
    """
    was_guessed = any(file.study_hash == before.patient_hash for file in blob.site)
    return before.is_trained or not was_guessed or patient == before.patient_hash


def _earlier_splits(
    patients: Mapping[str, str], binding: Mapping[str, PastMember]
) -> dict[str, Split]:
    """By patient of the site's images in earlier snapshots; the split of highest rank counts."""
    splits: dict[str, Split] = {}
    for sha256, before in binding.items():
        if before.origin == SITE:
            other = splits.get(patients[sha256], before.split)
            splits[patients[sha256]] = max(other, before.split, key=lambda split: split.rank)
    return splits


def _candidate(
    blob: LabelledBlob,
    patient: str,
    binding: Mapping[str, PastMember],
    earlier: Mapping[str, Split],
) -> Candidate:
    label, imported = blob.label, blob.imported
    if before := binding.get(label.sha256):
        split, origin = before.split, before.origin
    elif imported:
        split, origin = imported.split, imported.dataset
    else:
        split, origin = earlier.get(patient) or assign_split(patient), SITE
    member = Member(label.sha256, label.value, split, origin, patient, label.label_id)
    by_dicom: list[str] = [file.study_hash for file in blob.site if file.is_dicom_study]
    study_hash = next(iter(by_dicom), imported.study_hash if imported else None)
    return Candidate(member, study_hash)
