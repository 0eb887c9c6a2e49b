"""Parse a CSV of labels into rows, and a reason for each line that is refused.

Images are looked up later, in `csv_import`.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from models.base import now
from models.tables.learning import LabelValue
from web.http.export import unguarded
from web.http.forms import clean_file_name

DELIMITERS = ",;\t"
LABELS = {value.value: value for value in LabelValue} | {
    "1": LabelValue.PNEUMONIA,
    "0": LabelValue.NORMAL,
}
# Column titles, reduced to letters and digits.
SPELLINGS = {
    **dict.fromkeys(("file", "filename", "path"), "file"),
    "sha256": "sha256",
    **dict.fromkeys(("sopinstanceuid", "sopuid"), "uid"),
    "label": "label",
    **dict.fromkeys(("patient", "patientid"), "patient"),
    "reader": "reader",
    **dict.fromkeys(("time", "date", "datetime", "readat"), "time"),
}
NAMES_AN_IMAGE = ("file", "sha256", "uid")
MAX_ROWS = 300_000
MAX_COLUMNS = 200
CLOCKS_DIFFER_BY = timedelta(minutes=1)


class NoTableError(ValueError):
    """The file is not a table of labels, in one line."""


@dataclass(frozen=True)
class BadRow:
    line: int
    reason: str


@dataclass(frozen=True)
class LabelRow:
    """One line. At least one of file, sha256 and uid is given; the others are empty.

    uid, patient: in clear; must never be stored or logged.
    """

    line: int
    value: LabelValue
    file: str
    sha256: str
    uid: str
    patient: str
    reader: str
    read_at: datetime | None


@dataclass
class LabelTable:
    rows: list[LabelRow] = field(default_factory=list)
    problems: list[BadRow] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)


def read_label_table(content: bytes, *, time_zone: str) -> LabelTable:
    """time_zone: of times without one; "" is this machine's. Raises NoTableError."""
    lines = _records(_text(content))
    _, header = next(lines, (0, []))
    columns, ignored = _columns(header)
    table = LabelTable(ignored_columns=ignored)
    zone = ZoneInfo(time_zone) if time_zone else None
    for number, (line, cells) in enumerate(lines):
        if number == MAX_ROWS:
            raise NoTableError(f"at most {MAX_ROWS:,} rows are allowed: split the file")
        if not any(cell.strip() for cell in cells):
            continue
        try:
            _check_cells(cells, header, columns)
            table.rows.append(_row(line, _named(cells, columns), zone))
        except ValueError as error:
            table.problems.append(BadRow(line, str(error)))
    return table


def _text(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NoTableError(f"not a CSV file: line {line} is not UTF-8") from None
    if "\0" in text:
        raise NoTableError("not a CSV file: it contains zero bytes")
    return text


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield records with the number of their first line; quoted cells may span several."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    if first.count(delimiter) >= MAX_COLUMNS:
        raise NoTableError(f"at most {MAX_COLUMNS} columns are allowed")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise NoTableError(f"not a CSV file: line {line} cannot be parsed") from None
        if cells:
            yield line, cells


def _columns(header: list[str]) -> tuple[dict[str, int], list[str]]:
    """Positions of the known columns, and titles of the ignored ones."""
    columns: dict[str, int] = {}
    ignored = []
    for place, title in enumerate(header):
        name = SPELLINGS.get(re.sub(r"[^a-z0-9]", "", title.casefold()))
        if name is None:
            ignored.append(title.strip())
        elif name in columns:
            both = f"{_shown(header[columns[name]])}, {_shown(title)}"
            raise NoTableError(f"duplicate columns: {both}")
        else:
            columns[name] = place
    if "label" not in columns or not any(name in columns for name in NAMES_AN_IMAGE):
        raise NoTableError(
            "expected a first line that names the columns:"
            " file, sha256 or SOP Instance UID, and label"
        )
    return columns, [title for title in ignored if title]


def _shown(title: str) -> str:
    """A title for messages, in printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in title).split())[:40]


def _check_cells(cells: list[str], header: list[str], columns: dict[str, int]) -> None:
    if len(cells) <= columns["label"]:
        raise ValueError("too few cells")
    if any("\n" in cell or "\r" in cell for cell in cells):
        raise ValueError("a quoted cell spans several lines")
    if any(cell.strip() for cell in cells[len(header) :]):
        raise ValueError("more cells than the header; quote cells that contain a separator")


def _named(cells: list[str], columns: dict[str, int]) -> dict[str, str]:
    return {
        name: cells[place].strip() if place < len(cells) else "" for name, place in columns.items()
    }


def _row(line: int, cells: dict[str, str], zone: ZoneInfo | None) -> LabelRow:
    label = LABELS.get(cells["label"].casefold())
    if label is None:
        raise ValueError("expected a label: pneumonia, normal or unusable")
    if not any(cells.get(name) for name in NAMES_AN_IMAGE):
        raise ValueError("no image is named")
    if len(cells.get("reader", "")) > 80:
        raise ValueError("expected a reader's name of at most 80 characters")
    return LabelRow(
        line=line,
        value=label,
        file=clean_file_name(unguarded(cells["file"])) if cells.get("file") else "",
        sha256=cells.get("sha256", "").lower(),
        uid=cells.get("uid", ""),
        patient=cells.get("patient", ""),
        reader=cells.get("reader", ""),
        read_at=_time(cells.get("time", ""), zone),
    )


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
