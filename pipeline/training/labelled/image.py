"""One labelled file, or the reason why it cannot be used."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.subject import UNSTATED, Subject
from pipeline.types import Split

SPLITS = {  # by their names in folders and tables, in lower case
    "train": Split.TRAIN,
    "val": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "validation": Split.VALIDATION,
    "test": Split.TEST,
}


class DatasetError(PipelineError):
    """A labelled folder or CSV cannot be used as asked."""


@dataclass(frozen=True)
class LabelledImage:
    """One labelled file.

    file: its path within the folder or CSV, for people. label: 0 normal, 1 pneumonia.
    split: that its folder or row states; None where none is stated. is_patient_stated: whether
    a table names the patient, who is read from the file's name otherwise. subject: as a table
    states it. origin: the hospital or collection, "" where it is not known.
    """

    file: str
    path: Path
    label: int
    patient: str
    split: Split | None = None
    is_patient_stated: bool = False
    subject: Subject = UNSTATED
    origin: str = ""


@dataclass(frozen=True)
class RefusedImage:
    """A labelled file that cannot be used. reason: a clause."""

    file: str
    reason: str
