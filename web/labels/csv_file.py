"""Parse a CSV of labels into rows, and a reason for each row that is refused.

Images are looked up later, in `csv_import`.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from unicodedata import category
from zoneinfo import ZoneInfo

from models.base import now
from models.clock import CLOCKS_DIFFER_BY
from models.tables.learning import LabelValue
from pipeline.files.cells import LABELS, patient_id, plain_label, unguarded
from pipeline.files.table import Row, Table, read_table
from pipeline.text import readable
from web.http.forms import clean_file_name

COLUMNS = ("file", "sha256", "uid", "label", "patient", "reader", "time")
NAMES_AN_IMAGE = ("file", "sha256", "uid")


@dataclass(frozen=True)
class BadRow:
    """line: the number of the row, as a spreadsheet shows it."""

    line: int
    reason: str


@dataclass(frozen=True)
class LabelRow:
    """One row. At least one of files, sha256 and uid is given; the others are empty.

    files: names that the image may have, the likeliest first. uid, patient: in clear; must never be
    stored or logged.
    """

    line: int
    value: LabelValue
    files: tuple[str, ...]
    sha256: str
    uid: str
    patient: str
    reader: str
    read_at: datetime | None


@dataclass
class LabelTable:
    """note: a sentence on the encoding, where it was guessed."""

    rows: list[LabelRow] = field(default_factory=list)
    problems: list[BadRow] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)
    encoding: str = "UTF-8"
    note: str | None = None


def read_label_table(content: bytes, *, time_zone: str) -> LabelTable:
    """time_zone: of times without one; "" is this machine's. Raises TableError."""
    read = read_table(content, COLUMNS)
    table = LabelTable(ignored_columns=list(read.ignored), encoding=read.encoding, note=read.note())
    zone = ZoneInfo(time_zone) if time_zone else None
    for row in read:
        try:
            table.rows.append(_label_row(row, read, zone))
        except ValueError as error:
            table.problems.append(BadRow(row.number, str(error)))
    return table


def _label_row(row: Row, table: Table, zone: ZoneInfo | None) -> LabelRow:
    if row.problem:
        raise ValueError(row.problem)
    cells: Mapping[str, str] = dict.fromkeys(COLUMNS, "") | dict(row.cells)
    label = LABELS.get(plain_label(cells["label"]))
    if label is None:
        raise ValueError("expected a label: pneumonia, normal or unusable")
    if not any(cells[name] for name in NAMES_AN_IMAGE):
        raise ValueError("no image is named")
    if len(cells["reader"]) > 80:
        raise ValueError("expected a reader's name of at most 80 characters")
    return LabelRow(
        line=row.number,
        value=LabelValue(label),
        files=tuple(dict.fromkeys(_names(unguarded(cells["file"]), table.encoding))),
        sha256=cells["sha256"].lower(),
        uid=cells["uid"],
        patient=patient_id(cells["patient"]),
        reader=cells["reader"],
        read_at=_time(cells["time"], zone),
    )


def _names(file: str, encoding: str) -> Iterator[str]:
    if not file:
        return
    yield clean_file_name(file)
    # Earlier releases replaced characters that cannot be printed, or dropped them.
    yield clean_file_name(readable(file))
    yield clean_file_name("".join(char for char in file if category(char)[0] != "C"))
    if encoding == "Windows-1252":
        yield clean_file_name(os.fsdecode(file.encode("cp1252")))


def _time(text: str, zone: ZoneInfo | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=zone).astimezone()
    except (ValueError, OverflowError):
        raise ValueError("expected a time such as 2026-03-01T14:30 or 2026-03-01") from None
    if aware > now() + CLOCKS_DIFFER_BY:
        raise ValueError("the time is in the future")
    return aware
