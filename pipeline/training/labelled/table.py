"""The images that the rows of a CSV name."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from pipeline.files.cells import LABELS as SPELLED
from pipeline.files.cells import patient_id, plain_label, unguarded
from pipeline.files.table import Row, TableError, read_table_file
from pipeline.subject import UNSTATED, Subject, subject_of
from pipeline.text import listed, plural, raw_name, unique_name
from pipeline.training.data.splits import patient_of
from pipeline.training.labelled.image import SPLITS, DatasetError, LabelledImage, RefusedImage
from pipeline.types import LABELS, Split

COLUMNS = ("file", "label", "patient", "origin", "population", "view", "sex", "age")
LISTED = 10  # other labels: in a wrong column each may be another


class LabelledTable:
    """The rows of a CSV with the columns file and label; iterate as often as needed.

    Further columns: patient (else patients are read from file names), origin, population, view,
    sex, age (see `subject_of`) and, with_split, split. root: what the files are relative to, by
    default the CSV's folder. patient_column: another title of the column patient. as_normal:
    further labels that mean normal. Rows with any other label are left out; `left_out` counts them
    after an iteration, and `splits` holds what rows state. rows: only those that have one of these
    values, by title of the column. origin, subject: of rows that state none. Raises DatasetError,
    also while rows are read.
    """

    def __init__(
        self,
        table: Path,
        *,
        root: Path | None = None,
        patient_column: str | None = None,
        as_normal: Iterable[str] = (),
        with_split: bool = False,
        rows: Mapping[str, Collection[str]] | None = None,
        origin: str = "",
        subject: Subject = UNSTATED,
    ) -> None:
        self.name = table.name
        self.left_out: Counter[str] = Counter()
        self.splits: set[Split] = set()
        self._root = table.parent if root is None else root
        self._origin, self._subject, self._rows = origin, subject, rows or {}
        self._labels = {text: LABELS[label] for text, label in SPELLED.items() if label in LABELS}
        self._labels |= {plain_label(label): 0 for label in as_normal}
        columns = (*COLUMNS, *(["split"] if with_split else []))
        try:
            self.table = read_table_file(
                table, columns, patient_column=patient_column, further=self._rows
            )
        except TableError as error:
            raise DatasetError(str(error)) from None

    @property
    def notes(self) -> list[str]:
        """Sentences on a guessed encoding and on what was left out; complete after an iteration."""
        return [*filter(None, [self.table.note()]), *describe_other_labels(self.left_out)]

    def __iter__(self) -> Iterator[LabelledImage | RefusedImage]:
        self.left_out, self.splits = Counter(), set()
        try:
            for row in self.table:
                label = row.cells["label"]
                if row.problem:
                    yield RefusedImage(self._place(row), row.problem)
                elif not self._is_wanted(row):
                    continue
                elif plain_label(label) in self._labels:
                    yield self._image(row, label=self._labels[plain_label(label)])
                else:
                    self.left_out[label] += 1
        except TableError as error:
            raise DatasetError(f"{self.name}: {error}") from None

    def _is_wanted(self, row: Row) -> bool:
        return all(row.further[title] in wanted for title, wanted in self._rows.items())

    def _image(self, row: Row, *, label: int) -> LabelledImage | RefusedImage:
        file = row.cells["file"]
        if not file:
            return RefusedImage(self._place(row), "no file name")
        path = next((path for path in self._paths(file) if _is_file(path)), None)
        if path is None:
            return RefusedImage(f"{self._place(row)}: {file}", "no such file")
        try:
            stated = patient_id(row.cells.get("patient", ""))
            split = _split(row.cells.get("split"))
            subject = subject_of(row.cells)
        except ValueError as error:
            return RefusedImage(f"{self._place(row)}: {file}", str(error))
        if split:
            self.splits.add(split)
        patient = stated or patient_of(unique_name(path.name))
        return LabelledImage(
            file,
            path,
            label,
            patient,
            split,
            is_patient_stated=bool(stated),
            subject=subject.or_else(self._subject),
            origin=row.cells.get("origin") or self._origin,
        )

    def _paths(self, file: str) -> Iterator[Path]:
        """As written; as results name it; with Windows's separators; as bytes of the table."""
        for name in (file, unguarded(file), raw_name(file), file.replace("\\", "/")):
            yield self._root / name
        if self.table.encoding == "Windows-1252":
            yield self._root / os.fsdecode(file.encode("cp1252"))

    def _place(self, row: Row) -> str:
        return f"{self.name}, row {row.number}"


def describe_other_labels(left_out: Mapping[str, int]) -> Iterator[str]:
    if left_out:
        named = listed((f"{label or 'none'}: {n}" for label, n in left_out.items()), most=LISTED)
        count = plural(sum(left_out.values()), "row")
        yield f"{count} left out (label neither normal nor pneumonia): {named}"


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  Path.is_file fails for a name that is too long


def _split(cell: str | None) -> Split | None:
    """None: the table has no such column. Raises ValueError."""
    if cell is None:
        return None
    if (split := SPLITS.get(cell.casefold())) is None:
        raise ValueError("expected a split: train, val or test")
    return split
