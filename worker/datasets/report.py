"""What an import found; the JSON of it is kept with the data set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from models.learning.datasets import Added, NewImage
from pipeline.evaluation.leakage import Leak, leak_report
from pipeline.training.labelled.contents import Contents
from pipeline.training.labelled.dataset import LabelledDataset
from pipeline.training.labelled.image import RefusedImage
from pipeline.types import Split

LISTED = 1000  # refused files whose names are kept; all are counted
NOTES = {
    frozenset({Split.TRAIN}): (
        "It has only train; test and validation were taken from it by patients."
    ),
    frozenset({Split.TRAIN, Split.VALIDATION}): (
        "There is no folder test. The folder val stays validation; test, and more for validation, "
        "were taken from train: patients that the shipped networks were not trained on."
    ),
    frozenset({Split.TRAIN, Split.TEST}): (
        "There is no folder val; validation was taken from train by patients."
    ),
    frozenset[Split](): "It states no splits; they were made by a keyed hash of the patients.",
}


@dataclass
class ImportReport:
    """contents: by content, for copies and contradictory labels. elsewhere: images by data set.

    in_several_splits: images with copies in several splits. moved: images that the folder has in
    another split than the data set. added: None where there was no image to import.
    """

    notes: Sequence[str] = ()
    contents: Contents = field(default_factory=Contents)
    images: Sequence[NewImage] = ()
    refused: list[RefusedImage] = field(default_factory=list)
    elsewhere: Counter[str] = field(default_factory=Counter)
    in_several_splits: int = 0
    moved: int = 0
    leaks: Sequence[Leak] = ()
    added: Added | None = None

    def as_json(self) -> dict[str, Any]:
        splits: dict[str, Any] = {}
        for split in Split:
            if images := [image for image in self.images if image.split == split]:
                labels = Counter(image.value.value for image in images)
                splits[split.value] = {**labels, "patients": count_patients(images)}
        contents = self.contents.as_json()
        return {
            "images": len(self.images),
            "patients": count_patients(self.images),
            "splits": splits,
            "notes": list(self.notes),
            "refused": len(self.refused),
            "refused_files": [[one.file, one.reason] for one in self.refused[:LISTED]],
            "contradictory": len(self.contents.contradictory),
            "contradictory_files": contents["contradictory"]["files"][:LISTED],
            "elsewhere": dict(self.elsewhere),
            "copies": contents["copies"]["count"],
            "on_two_sides": self.in_several_splits,
            "leaks": leak_report(self.leaks),
        }


def notes_on(dataset: LabelledDataset) -> list[str]:
    """Sentences on what the data set lacks and what was done about it, after an iteration."""
    note = NOTES.get(dataset.splits)
    return [*([note] if note else []), *dataset.notes()]


def count_patients(images: Sequence[NewImage]) -> int:
    return len({image.patient_hash for image in images})
