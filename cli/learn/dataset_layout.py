"""A labelled folder in the public layout, with its splits: which images, and who says their split.

DIR/{NORMAL,PNEUMONIA}, or DIR/{train,val,test}/{NORMAL,PNEUMONIA}. A folder that has test, or val
beside train, keeps its splits. What it lacks is taken from train by the patients' keyed hash.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.errors import UsageProblem
from cli.learn.labelled_images import Labelled, LabelledFolder, class_folders
from pipeline.training.splits import assign_split, imported_split, known_patient_of
from pipeline.types import Split

SPLIT_FOLDERS: dict[str, Split] = {
    "train": Split.TRAIN,
    "val": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "validation": Split.VALIDATION,
    "test": Split.TEST,
}
NO_SPLITS = "It states no splits; they were made by a keyed hash of the patients."
ONLY_TRAIN = "It has train alone; test and validation were set aside from it by patients."
NO_TEST = (
    "There is no folder test. The folder val stays validation; test, and more for validation, "
    "were set aside from train: patients that the networks shipped here never learned from."
)
NO_VALIDATION = "There is no folder val; validation was set aside from train by patients."

Rule = Callable[[Split], Split]  # what the patient's hash says -> what is done


@dataclass(frozen=True)
class Part:
    """NORMAL and PNEUMONIA of one split. rule: applied to the split by the patient's hash."""

    prefix: str
    images: LabelledFolder
    rule: Rule


@dataclass(frozen=True)
class Listed:
    """One file. file: its path within the set. label: 0 normal, 1 pneumonia."""

    file: str
    path: Path
    label: int
    patient: str
    rule: Rule

    def split(self, patient_hash: str | None) -> Split:
        """patient_hash: of DICOM's patient, who gets the split of the site's patients.

        A name of the public sets goes before it: a shipped network may know that patient.
        """
        if patient_hash is not None and known_patient_of(self.path.name) is None:
            return self.rule(assign_split(patient_hash))
        return self.rule(imported_split(self.patient))


@dataclass(frozen=True)
class DatasetFolder:
    """notes: sentences on what is missing and what was done about it."""

    parts: tuple[Part, ...]
    has_own_splits: bool
    notes: tuple[str, ...]

    def __iter__(self) -> Iterator[Listed]:
        for part in self.parts:
            yield from (_listed(image, part) for image in part.images)


def open_dataset(folder: Path) -> DatasetFolder:
    """Raises UsageProblem."""
    if not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder")
    holders = [path for path in sorted(folder.iterdir()) if class_folders(path)]
    if class_folders(folder):
        if holders:
            raise UsageProblem(f"{folder}: holds both {holders[0].name} and images beside it")
        return _made(folder, {}, (NO_SPLITS,), unknown=[])
    splits = {path: SPLIT_FOLDERS.get(path.name.lower()) for path in holders}
    known = {path: split for path, split in splits.items() if split is not None}
    if not known:
        raise UsageProblem(
            f"{folder}: expected folders NORMAL and PNEUMONIA, or train, val, test that hold them"
        )
    note = {
        frozenset({"train"}): (ONLY_TRAIN,),
        frozenset({"train", "validation"}): (NO_TEST,),
        frozenset({"train", "test"}): (NO_VALIDATION,),
    }.get(frozenset(known.values()), ())
    return _made(folder, known, note, unknown=[path for path in holders if path not in known])


def _made(
    folder: Path, known: dict[Path, Split], notes: tuple[str, ...], *, unknown: list[Path]
) -> DatasetFolder:
    if known:
        rules = _rules(set(known.values()))
        parts = [
            Part(f"{path.name}/", LabelledFolder(path, is_meant=_anyone), rules[split])
            for path, split in known.items()
        ]
    else:
        parts = [Part("", LabelledFolder(folder, is_meant=_anyone), _by_hash)]
    left_out = tuple(
        f"The folder {path.name} was left out: no split is called so." for path in unknown
    )
    missing = tuple(f"{part.prefix}: {note}" for part in parts for note in part.images.notes)
    has_own_splits = bool({"test", "validation"} & set(known.values()))
    return DatasetFolder(tuple(parts), has_own_splits, (*notes, *left_out, *missing))


def _rules(splits: set[Split]) -> dict[Split, Rule]:
    if Split.TEST not in splits:
        of_train: Rule = _by_hash
    elif Split.VALIDATION not in splits:
        of_train = _never_test
    else:
        of_train = _always(Split.TRAIN)
    return {
        Split.TRAIN: of_train,
        Split.VALIDATION: _always(Split.VALIDATION),
        Split.TEST: _always(Split.TEST),
    }


def _by_hash(split: Split) -> Split:
    return split


def _never_test(split: Split) -> Split:
    return Split.VALIDATION if split is Split.TEST else split


def _always(stated: Split) -> Rule:
    return lambda split: stated


def _anyone(patient: str) -> bool:
    return True


def _listed(image: Labelled, part: Part) -> Listed:
    return Listed(f"{part.prefix}{image.file}", image.path, image.label, image.patient, part.rule)
