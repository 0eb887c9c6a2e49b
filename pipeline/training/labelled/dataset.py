"""Opens labelled images by their layout: one folder, folders of splits, a CSV, or a manifest."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.subject import UNSTATED, Subject
from pipeline.text import listed, plural, unique_name
from pipeline.training.data.splits import split_of
from pipeline.training.labelled.folder import (
    LabelledFolder,
    children,
    class_folders,
    split_folders,
)
from pipeline.training.labelled.image import SPLITS, DatasetError, LabelledImage, RefusedImage
from pipeline.training.labelled.manifest import Manifest, is_manifest, read_manifest
from pipeline.training.labelled.table import LabelledTable
from pipeline.types import Split

LAYOUT = "expected folders NORMAL and PNEUMONIA, or train, val, test that hold them"
MAY_BE_TRAINING_DATA = "The network may have been trained on images in a folder named train."

LabelledSource = LabelledFolder | LabelledTable


@dataclass(frozen=True)
class LabelledDataset:
    """Images with their splits. ignored: sentences on entries beside the splits."""

    parts: tuple[LabelledSource, ...]
    ignored: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[LabelledImage | RefusedImage]:
        for part in self.parts:
            yield from part

    @property
    def splits(self) -> frozenset[Split]:
        """That its folders or rows state; of a CSV after an iteration."""
        return frozenset(split for part in self.parts for split in part.splits)

    def notes(self) -> list[str]:
        """Sentences on what is missing or was left out; complete after an iteration."""
        notes = (f"{part.name}: {note}" for part in self.parts for note in part.notes)
        return [*self.ignored, *notes]


def open_dataset(place: Path) -> LabelledDataset:
    """Open `{NORMAL,PNEUMONIA}`, or `{train,val,test}/{NORMAL,PNEUMONIA}`, a CSV, or a manifest.

    The origin is the folder's or the file's name where a manifest or a row states no other.
    Raises DatasetError.
    """
    if is_manifest(place):
        return _open(read_manifest(place))
    name = place.resolve().name
    return _open(Manifest(images=place, origin=place.stem if place.is_file() else name))


def open_table(manifest: Manifest, *, with_split: bool = False) -> LabelledTable:
    """Open the CSV of a manifest. Raises DatasetError."""
    return LabelledTable(
        manifest.images,
        root=manifest.root,
        patient_column=manifest.patient_column,
        as_normal=manifest.as_normal,
        with_split=with_split and manifest.has_splits,
        rows=manifest.rows,
        origin=manifest.origin,
        subject=manifest.subject,
    )


def _open(manifest: Manifest) -> LabelledDataset:
    place = manifest.images
    if place.is_file():
        return LabelledDataset((open_table(manifest, with_split=True),))
    if manifest.root or manifest.patient_column or manifest.as_normal or manifest.rows:
        raise DatasetError(f"{place}: root, patient_column, as_normal and rows belong to a CSV")
    found = split_folders(place)
    about = partial(LabelledFolder, origin=manifest.origin, subject=manifest.subject)
    if class_folders(place):
        if found:
            raise DatasetError(f"{place}: holds both {next(iter(found))} and images beside it")
        return LabelledDataset((about(place),))
    splits = {name: SPLITS[name.lower()] for name in found if name.lower() in SPLITS}
    if not splits:
        raise DatasetError(_unexpected(place))
    parts = (about(found[n], name=n, root=place, split=s) for n, s in splits.items())
    return LabelledDataset(tuple(parts), tuple(_ignored(place, used=splits)))


def open_split(
    folder: Path, *, split: str | None, config: Mapping[str, Any], subject: Subject = UNSTATED
) -> LabelledFolder:
    """Open the images of one split by its folder's name, or of the folder itself.

    Where there is no folder `validation`, that name means the patients in `train` that a training
    with `config` sets aside. config: as a version's card has it. subject: of all images. Raises
    DatasetError.
    """
    found = split_folders(folder)
    if split is None and class_folders(folder):
        return _opened(folder, subject)
    if split is None:
        if not found:
            raise DatasetError(_unexpected(folder))
        if len(found) > 1:
            names = ", ".join(found)
            raise DatasetError(f"{folder}: holds several splits; name one by --split: {names}")
        opened = _opened(next(iter(found.values())), subject)
        for note in _ignored(folder, used=found):
            opened.add_note(note)
        return opened
    # The name as it is written goes before one in another case.
    named = [name for name in found if name.lower() == split.lower()]
    if split in found or named:
        chosen = split if split in found else named[0]
        return _opened(found[chosen], subject, name=f"{folder.resolve().name}, {chosen}")
    if split == "validation" and "train" in found:
        return _validation_patients(found["train"], config, subject)
    names = ", ".join(found) or "none"
    raise DatasetError(f"{folder}: there is no split {split} in it; found: {names}")


def _unexpected(folder: Path) -> str:
    found = listed(unique_name(path.name) for path in children(folder))
    return f"{folder}: {LAYOUT}; found {found or 'nothing'}"


def _ignored(folder: Path, *, used: Collection[str]) -> Iterator[str]:
    """Raises DatasetError for a split whose images would be missed."""
    others = [path for path in children(folder) if path.name not in used]
    for path in others:
        if path.is_dir() and path.name.lower() in SPLITS and children(path):
            raise DatasetError(_unexpected(path))
        if path.is_dir():
            yield f"The folder {unique_name(path.name)} was ignored: it names no split."
    files = [*(path for path in others if not path.is_dir()), *children(folder, hidden=True)]
    if files:
        names = listed(unique_name(path.name) for path in files)
        yield f"{plural(len(files), 'file')} beside the splits left out: {names}"


def _opened(folder: Path, subject: Subject, *, name: str = "") -> LabelledFolder:
    found = LabelledFolder(folder, name=name, subject=subject)
    if folder.resolve().name == "train":
        found.add_note(MAY_BE_TRAINING_DATA)
    return found


def _validation_patients(
    train: Path, config: Mapping[str, Any], subject: Subject
) -> LabelledFolder:
    try:
        key, share = str(config["split_key"]), float(config["validation_share"])
    except KeyError as error:
        raise DatasetError(
            f"the version's card lacks {error}, so its validation patients are unknown"
        ) from None
    name = f"{train.parent.resolve().name}, validation patients of train"
    return LabelledFolder(
        train,
        name=name,
        subject=subject,
        includes=lambda patient: (
            split_of(patient, key=key, validation_share=share) is Split.VALIDATION
        ),
    )
