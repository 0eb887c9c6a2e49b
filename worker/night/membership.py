"""Which labelled contents a snapshot may hold, with their patient and split. Decides, does nothing.

Patient: named by a label, by DICOM, by an imported set, or by the file name in a public set's
pattern; else the folder that the file came in counts as one patient.
Split: a site's patients by keyed hash, an imported set's by what was fixed at its import. A test
image stays one, and what a network learned from stays where it was; their patients' other images
follow. So a patient who is named later does not come into the test split with images that were
learned from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.learning.labelled_contents import LabelledContent
from models.learning.snapshots import LEARNABLE, SITE, Member, Place
from pipeline.pseudonym import patient_pseudonym
from pipeline.training.splits import assign_split, known_patient_of
from pipeline.types import Split


@dataclass(frozen=True)
class Candidate:
    """A member, unless it is a leak. study_hash: of DICOM's study, where the file states one."""

    member: Member
    study_hash: str | None


def decide_members(
    contents: Iterable[LabelledContent], *, places: Mapping[str, Place], key: bytes
) -> list[Candidate]:
    """Of contents that show pneumonia or none; what a reader called unusable is passed over."""
    learnable = [content for content in contents if content.label.value in LEARNABLE]
    patients = _patients(learnable, key=key)
    binding = {
        one.label.sha256: place
        for one in learnable
        if (place := places.get(one.label.sha256)) is not None
        and _binds(place, one, patients[one.label.sha256])
    }
    earlier = _earlier_splits(patients, binding)
    return [_candidate(one, patients[one.label.sha256], binding, earlier) for one in learnable]


def _patients(contents: Sequence[LabelledContent], *, key: bytes) -> dict[str, str]:
    """By content. Where labels name one and the same patient for images of one DICOM patient, the
    images of that patient that no label names are theirs, too.
    """
    named: dict[str, set[str]] = {}
    for one in contents:
        for file in one.site:
            if one.label.patient_hash and file.patient_hash:
                named.setdefault(file.patient_hash, set()).add(one.label.patient_hash)
    same = {by_dicom: next(iter(names)) for by_dicom, names in named.items() if len(names) == 1}
    found = {one.label.sha256: patient_of_content(one, key=key) for one in contents}
    return {sha256: same.get(patient, patient) for sha256, patient in found.items()}


def patient_of_content(content: LabelledContent, *, key: bytes) -> str:
    """The keyed hash of the patient."""
    by_dicom = [file.patient_hash for file in content.site if file.patient_hash]
    by_set = [content.imported.patient_hash] if content.imported else []
    by_name = [
        patient_pseudonym(key, known)
        for file in content.site
        if (known := known_patient_of(file.name)) is not None
    ]
    by_folder = [file.study_hash for file in content.site]
    by_label = [content.label.patient_hash] if content.label.patient_hash else []
    return next(iter((*by_label, *by_dicom, *by_set, *by_name, *by_folder)))


def _binds(place: Place, content: LabelledContent, patient: str) -> bool:
    """Not where a folder stood for a patient who is named by now, and nothing was learned from it.

    Else a folder of many patients, labelled before anyone named them, would be one split for ever.
    """
    was_guessed = any(file.study_hash == place.patient_hash for file in content.site)
    return place.is_learned or not was_guessed or patient == place.patient_hash


def _earlier_splits(patients: Mapping[str, str], binding: Mapping[str, Place]) -> dict[str, Split]:
    """Of patients whose site images were in a snapshot before; test goes before the others."""
    splits: dict[str, Split] = {}
    for sha256, place in binding.items():
        if place.origin == SITE:
            before = splits.get(patients[sha256], place.split)
            splits[patients[sha256]] = max(before, place.split, key=lambda split: split.rank)
    return splits


def _candidate(
    content: LabelledContent,
    patient: str,
    binding: Mapping[str, Place],
    earlier: Mapping[str, Split],
) -> Candidate:
    label, imported = content.label, content.imported
    if place := binding.get(label.sha256):
        split, origin = place.split, place.origin
    elif imported:
        split, origin = imported.split, imported.dataset
    else:
        split, origin = earlier.get(patient) or assign_split(patient), SITE
    member = Member(label.sha256, label.value, split, origin, patient, label.label_id)
    return Candidate(member, _study(content))


def _study(content: LabelledContent) -> str | None:
    by_dicom: Sequence[str] = [file.study_hash for file in content.site if file.is_dicom_study]
    return next(iter(by_dicom), content.imported.study_hash if content.imported else None)
