"""A CSV with the columns file and label, perhaps patient too: one image a row."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cli.fatal import UsageProblem
from cli.labelled import Labelled, Refused
from pipeline.training.splits import patient_of

LABELS = {"normal": 0, "0": 0, "pneumonia": 1, "1": 1}
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
        self._labels = LABELS | {label.strip().casefold(): 0 for label in as_normal}
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
