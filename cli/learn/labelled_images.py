"""Images with their labels, one after the other: what they are, or why there is none.

NORMAL and PNEUMONIA in a folder, or in one of its splits.

A CSV with the columns file and label, perhaps patient too: one image a row.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cli.errors import UsageProblem
from cli.walk import Walk
from pipeline.inference.version_folder import Card
from pipeline.training.dataset import LABELS
from pipeline.training.splits import patient_of, split_of


@dataclass(frozen=True)
class Labelled:
    """label: 0 normal, 1 pneumonia."""

    file: str
    path: Path
    label: int
    patient: str


@dataclass(frozen=True)
class Refused:
    """reason: a clause."""

    file: str
    reason: str


class LabelledSource(Protocol):
    """Iterate as often as needed. `left_out` counts, by label, what the last iteration left out."""

    name: str
    notes: tuple[str, ...]
    left_out: Counter[str]

    def count(self) -> int: ...

    def __iter__(self) -> Iterator[Labelled | Refused]: ...


IsMeant = Callable[[str], bool]
MAY_BE_LEARNED = "The network may have learned from images in a folder called train."


class LabelledFolder:
    """is_meant: of a patient; the others' images are passed over."""

    def __init__(self, folder: Path, *, name: str = "", is_meant: IsMeant | None = None) -> None:
        self._folders = class_folders(folder)
        self._is_meant = is_meant
        self.name = name or folder.resolve().name
        self.left_out: Counter[str] = Counter()
        self.notes = tuple(
            f"There is no folder {label}; figures that need both classes are missing."
            for label in LABELS
            if label not in self._folders
        )
        if folder.resolve().name == "train" and not is_meant:
            self.notes += (MAY_BE_LEARNED,)

    def count(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Labelled]:
        for label, folder in self._folders.items():
            for source in Walk([folder]):
                patient = patient_of(source.path.name)
                if self._is_meant is None or self._is_meant(patient):
                    yield Labelled(source.file, source.path, LABELS[label], patient)


def open_folder(folder: Path, *, split: str | None, card: Card) -> LabelledFolder:
    """The folder itself, or the split that is meant. Raises UsageProblem."""
    splits = _splits(folder)
    if split is None:
        if class_folders(folder):
            return LabelledFolder(folder)
        return LabelledFolder(folder / _only(folder, splits))
    if split in splits:
        return LabelledFolder(folder / split, name=f"{folder.resolve().name}, {split}")
    if split == "validation" and "train" in splits:
        return _set_aside(folder, card)
    found = ", ".join(splits) or "none"
    raise UsageProblem(f"{folder}: there is no split {split} in it; found: {found}")


def class_folders(folder: Path) -> dict[str, Path]:
    """Those of NORMAL and PNEUMONIA that are there, in upper or lower case."""
    if not folder.is_dir():
        return {}
    children = {path.name.upper(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return {label: children[label] for label in LABELS if label in children}


def _splits(folder: Path) -> list[str]:
    return [path.name for path in sorted(folder.iterdir()) if class_folders(path)]


def _only(folder: Path, splits: list[str]) -> str:
    if not splits:
        raise UsageProblem(
            f"{folder}: expected folders NORMAL and PNEUMONIA, or splits that hold them"
        )
    if len(splits) > 1:
        raise UsageProblem(
            f"{folder}: holds several splits; name one by --split: {', '.join(splits)}"
        )
    return splits[0]


def _set_aside(folder: Path, card: Card) -> LabelledFolder:
    """The patients in train that the version's training did not learn from."""
    try:
        config = card.raw["config"]
        key, share = str(config["split_key"]), float(config["validation_share"])
    except KeyError as error:
        raise UsageProblem(
            f"{card.model_version}: its card lacks {error}, so its validation patients are unknown"
        ) from None

    def is_meant(patient: str) -> bool:
        return split_of(patient, key=key, validation_share=share) == "validation"

    name = f"{folder.resolve().name}, patients of train set aside for validation"
    return LabelledFolder(folder / "train", name=name, is_meant=is_meant)


TABLE_LABELS = {"normal": 0, "0": 0, "pneumonia": 1, "1": 1}
PATIENT = "patient"


class LabelledTable:
    """root: what the files are relative to. as_normal: further labels that mean normal."""

    notes: tuple[str, ...] = ()

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
        self._labels = TABLE_LABELS | {label.strip().casefold(): 0 for label in as_normal}
        self._patient_column = patient_column or PATIENT
        wanted = ["file", "label", *([patient_column] if patient_column else [])]
        self._check_columns(wanted)

    def count(self) -> int:
        """Rows with a label that is known."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Labelled | Refused]:
        self.left_out = Counter()
        for line, row in self._rows():
            label = (row.get("label") or "").strip()
            if label.casefold() in self._labels:
                yield self._image(line, row, label=self._labels[label.casefold()])
            else:
                self.left_out[label] += 1

    def _image(self, line: int, row: dict[str, str | None], *, label: int) -> Labelled | Refused:
        file = (row.get("file") or "").strip()
        place = f"{self._table.name}, line {line}"
        if not file:
            return Refused(place, "names no file")
        path = self._root / file
        if not path.is_file():
            return Refused(f"{place}: {file}", "no such file")
        patient = (row.get(self._patient_column) or "").strip() or patient_of(path.name)
        return Labelled(file, path, label, patient)

    def _rows(self) -> Iterator[tuple[int, dict[str, str | None]]]:
        line = 1
        try:
            # The signature that spreadsheets put in front is no part of the first column's name.
            with self._table.open(newline="", encoding="utf-8-sig") as stream:
                reader = csv.DictReader(stream)
                for row in reader:
                    line = reader.line_num
                    yield line, row
        except OSError as error:
            raise UsageProblem(f"{self._table}: cannot be read: {error.strerror}") from None
        except (csv.Error, UnicodeDecodeError):
            raise UsageProblem(f"{self._table}: no longer CSV in UTF-8 after line {line}") from None

    def _check_columns(self, wanted: list[str]) -> None:
        for _, row in self._rows():
            missing = [name for name in wanted if name not in row]
            if missing:
                raise UsageProblem(f"{self._table}: there is no column {', '.join(missing)}")
            return
        raise UsageProblem(f"{self._table}: expected a header with file and label, and rows")
