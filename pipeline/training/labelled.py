"""Labelled images as they lie on a disk: folders NORMAL and PNEUMONIA, or the rows of a CSV.

Training, `overread evaluate` and `overread import-dataset` all read them here.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.files.sniff import is_junk
from pipeline.text import readable
from pipeline.training.splits import patient_of, split_of
from pipeline.types import LABELS, Split

FOLDER_LABELS = {finding.upper(): label for finding, label in LABELS.items()}  # in any case
SPLITS = {  # by the folder's name, in lower case
    "train": Split.TRAIN,
    "val": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "validation": Split.VALIDATION,
    "test": Split.TEST,
}
LAYOUT = "expected folders NORMAL and PNEUMONIA, or train, val, test that hold them"
NEEDED = "metrics that need both classes are missing."
MAY_BE_TRAINING_DATA = "The network may have been trained on images in a folder named train."

_TABLE_LABELS = {**LABELS, "0": 0, "1": 1}


class DatasetError(PipelineError):
    """A labelled folder or CSV cannot be used as asked."""


@dataclass(frozen=True)
class LabelledImage:
    """One labelled file.

    file: its path within the folder or CSV, for people. label: 0 normal, 1 pneumonia.
    split: of the folder that holds it; None where no folder states one.
    """

    file: str
    path: Path
    label: int
    patient: str
    split: Split | None = None


@dataclass(frozen=True)
class RefusedImage:
    """A labelled file that cannot be used. reason: a clause."""

    file: str
    reason: str


class LabelledFolder:
    """The images in `folder/NORMAL` and `folder/PNEUMONIA`; iterate as often as needed.

    Subfolders are included, hidden and junk files are not. Links to files are followed, since
    splits of a data set are often made of links.
    name: for people. root: what `file` is relative to, by default the folder. split: of all images.
    includes: whether a patient's images are wanted; without it all are.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "",
        root: Path | None = None,
        split: Split | None = None,
        includes: Callable[[str], bool] | None = None,
    ) -> None:
        self._folders = class_folders(folder)
        self._split, self._includes = split, includes
        self._root = root or folder
        self.name = name or folder.resolve().name
        self.left_out: Counter[str] = Counter()
        missing = [label for label in FOLDER_LABELS if label not in self._folders]
        self.notes = [f"There is no folder {label}; {NEEDED}" for label in missing]

    def __iter__(self) -> Iterator[LabelledImage]:
        for label, folder in self._folders.items():
            for path in _files_below(folder):
                patient = patient_of(path.name)
                if self._includes is None or self._includes(patient):
                    file = readable(path.relative_to(self._root).as_posix())
                    yield LabelledImage(file, path, FOLDER_LABELS[label], patient, self._split)


class LabelledTable:
    """The rows of a CSV with the columns file and label; iterate as often as needed.

    root: what the files are relative to, by default the CSV's folder. patient_column: else
    `patient` where there is one, else patients are read from file names. as_normal: further labels
    that mean normal. Rows with any other label are left out; `left_out` counts them after an
    iteration. Raises DatasetError, also while rows are read.
    """

    notes: Sequence[str] = ()

    def __init__(
        self,
        table: Path,
        *,
        root: Path | None = None,
        patient_column: str | None = None,
        as_normal: Iterable[str] = (),
    ) -> None:
        self.name = table.name
        self.left_out: Counter[str] = Counter()
        self._table = table
        self._root = table.parent if root is None else root
        self._labels = _TABLE_LABELS | {label.strip().casefold(): 0 for label in as_normal}
        self._patient_column = patient_column or "patient"
        self._check_columns(["file", "label", *([patient_column] if patient_column else [])])

    def __iter__(self) -> Iterator[LabelledImage | RefusedImage]:
        self.left_out = Counter()
        for line, row in self._rows():
            label = (row.get("label") or "").strip()
            if label.casefold() in self._labels:
                yield self._image(line, row, label=self._labels[label.casefold()])
            else:
                self.left_out[label] += 1

    def _image(
        self, line: int, row: Mapping[str, str | None], *, label: int
    ) -> LabelledImage | RefusedImage:
        file = (row.get("file") or "").strip()
        position = f"{self._table.name}, line {line}"
        if not file:
            return RefusedImage(position, "no file name")
        path = self._root / file
        if not path.is_file():
            return RefusedImage(f"{position}: {file}", "no such file")
        patient = (row.get(self._patient_column) or "").strip() or patient_of(path.name)
        return LabelledImage(file, path, label, patient)

    def _rows(self) -> Iterator[tuple[int, dict[str, str | None]]]:
        line = 1
        try:
            # A byte order mark, as spreadsheets write it, would become part of the first name.
            with self._table.open(newline="", encoding="utf-8-sig") as stream:
                reader = csv.DictReader(stream)
                for row in reader:
                    line = reader.line_num
                    yield line, row
        except OSError as error:
            raise DatasetError(f"{self._table}: cannot be read: {error.strerror}") from None
        except (csv.Error, UnicodeDecodeError):
            raise DatasetError(f"{self._table}: not CSV in UTF-8 after line {line}") from None

    def _check_columns(self, wanted: list[str]) -> None:
        first = next(self._rows(), None)
        if first is None:
            raise DatasetError(f"{self._table}: expected a header with file and label, and rows")
        missing = [name for name in wanted if name not in first[1]]
        if missing:
            raise DatasetError(f"{self._table}: there is no column {', '.join(missing)}")


LabelledSource = LabelledFolder | LabelledTable


@dataclass(frozen=True)
class LabelledDataset:
    """A folder with its splits. unknown: folders that hold images but name no split."""

    parts: tuple[LabelledFolder, ...]
    splits: frozenset[Split]  # that its folders state
    unknown: tuple[str, ...]

    def __iter__(self) -> Iterator[LabelledImage]:
        for part in self.parts:
            yield from part


def open_dataset(folder: Path) -> LabelledDataset:
    """Open `folder/{NORMAL,PNEUMONIA}` or `folder/{train,val,test}/{NORMAL,PNEUMONIA}`.

    Raises DatasetError.
    """
    found = split_folders(folder)
    if class_folders(folder):
        if found:
            raise DatasetError(f"{folder}: holds both {next(iter(found))} and images beside it")
        return LabelledDataset((LabelledFolder(folder),), frozenset(), ())
    splits = {name: SPLITS[name.lower()] for name in found if name.lower() in SPLITS}
    if not splits:
        raise DatasetError(f"{folder}: {LAYOUT}")
    parts = (LabelledFolder(found[n], name=n, root=folder, split=s) for n, s in splits.items())
    unknown = tuple(name for name in found if name not in splits)
    return LabelledDataset(tuple(parts), frozenset(splits.values()), unknown)


def open_split(folder: Path, *, split: str | None, config: Mapping[str, Any]) -> LabelledFolder:
    """Open the images of one split by its folder's name, or of the folder itself.

    Where there is no folder `validation`, that name means the patients in `train` that a training
    with `config` sets aside. config: as a version's card has it. Raises DatasetError.
    """
    found = split_folders(folder)
    if split is None and class_folders(folder):
        return _opened(folder)
    if split is None:
        if not found:
            raise DatasetError(f"{folder}: {LAYOUT}")
        if len(found) > 1:
            names = ", ".join(found)
            raise DatasetError(f"{folder}: holds several splits; name one by --split: {names}")
        return _opened(next(iter(found.values())))
    if split in found:
        return _opened(found[split], name=f"{folder.resolve().name}, {split}")
    if split == "validation" and "train" in found:
        return _validation_patients(found["train"], config)
    names = ", ".join(found) or "none"
    raise DatasetError(f"{folder}: there is no split {split} in it; found: {names}")


def class_folders(folder: Path) -> dict[str, Path]:
    """Return those of NORMAL and PNEUMONIA that are there, in upper or lower case."""
    if not folder.is_dir():
        return {}
    children = {path.name.upper(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return {label: children[label] for label in FOLDER_LABELS if label in children}


def split_folders(folder: Path) -> dict[str, Path]:
    """Return the folders that hold NORMAL or PNEUMONIA, by name. Raises DatasetError."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    return {path.name: path for path in sorted(folder.iterdir()) if class_folders(path)}


def _opened(folder: Path, *, name: str = "") -> LabelledFolder:
    found = LabelledFolder(folder, name=name)
    if folder.resolve().name == "train":
        found.notes.append(MAY_BE_TRAINING_DATA)
    return found


def _validation_patients(train: Path, config: Mapping[str, Any]) -> LabelledFolder:
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
        includes=lambda patient: (
            split_of(patient, key=key, validation_share=share) is Split.VALIDATION
        ),
    )


def _files_below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not _is_ignored(name))
        for name in sorted(names):
            path = Path(root, name)
            # Neither pipes nor devices; a broken link is a file that cannot be read.
            if not _is_ignored(name) and (path.is_file() or path.is_symlink()):
                yield path


def _raise(error: OSError) -> None:
    raise DatasetError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or is_junk(name)
