"""What a labelled folder holds by content: copies taken together, contradictions left out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cli.learn.dataset_layout import Listed
from models.learning.datasets import NewImage
from models.tables.learning import LabelValue
from pipeline.pseudonym import patient_pseudonym, pseudonym
from pipeline.training.splits import known_patient_of

_VALUES: Final = {0: LabelValue.NORMAL, 1: LabelValue.PNEUMONIA}
_FILE_LENGTH: Final = 1024


@dataclass(frozen=True)
class Content:
    """One content, under all the names it has in the folder."""

    sha256: str
    files: tuple[Listed, ...]

    @property
    def is_contradictory(self) -> bool:
        return len({file.label for file in self.files}) > 1


@dataclass(frozen=True)
class Identity:
    """What DICOM says of a content; nothing where it is no DICOM."""

    patient_hash: str | None = None
    study_hash: str | None = None


@dataclass(frozen=True)
class Placed:
    """is_on_two_sides: its copies lie in several splits; the one nearest to test counts."""

    image: NewImage
    is_on_two_sides: bool


def contents_of(files: Iterable[tuple[Listed, str]]) -> list[Content]:
    """files: each with its sha256."""
    by_content: dict[str, list[Listed]] = {}
    for file, sha256 in files:
        by_content.setdefault(sha256, []).append(file)
    return [Content(sha256, tuple(same)) for sha256, same in by_content.items()]


def place(content: Content, identity: Identity, *, dataset: str, key: bytes) -> Placed:
    """Patient and split of a content that all its names call the same."""
    splits = {file: file.split(identity.patient_hash) for file in content.files}
    first = max(content.files, key=lambda file: splits[file].rank)
    image = NewImage(
        sha256=content.sha256,
        file=first.file[-_FILE_LENGTH:],
        patient_hash=identity.patient_hash or _named_patient(first, dataset=dataset, key=key),
        study_hash=identity.study_hash,
        split=splits[first],
        value=_VALUES[first.label],
    )
    return Placed(image, len(set(splits.values())) > 1)


def _named_patient(file: Listed, *, dataset: str, key: bytes) -> str:
    """By the public sets' naming; any other file is a patient of its own.

    Not by such a name alone: two sets may both hold a file 1.png.
    """
    known = known_patient_of(file.path.name)
    if known is not None:
        return patient_pseudonym(key, known)
    return pseudonym(key, "imported file", dataset, file.file)
