"""Tables of labelled images, as spreadsheets and programs write them.

The one reader of `overread label`, `evaluate`, `train`, `import-dataset`, and of the portal.

Encoding: by the byte order mark UTF-8 or UTF-16; without one UTF-8, else Windows-1252. Separator:
the one that a line `sep=` names, else that of comma, semicolon and tab which finds most of the
known columns in the first row.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files.cells import LABELS, SPELLINGS, plain_label, plain_title
from pipeline.limits import MAX_TABLE_BYTES
from pipeline.text import bytes_words, readable

DELIMITERS = ",;\t"
MAX_ROWS = 300_000
MAX_COLUMNS = 200

_ADVICE = "save it as CSV UTF-8"
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # xlsx and ods, xls
_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1f]")
_SEPARATOR = re.compile(r"\ufeff?\"?sep=(?P<delimiter>[^\w\s\"]|\t)\"?[,;\t]*(\r\n|\r|\n|$)", re.I)


class TableError(PipelineError):
    """A file is not a table that can be used: one line, without the file's name."""


@dataclass(frozen=True)
class Row:
    """number: as a spreadsheet shows it. cells: by column, without blanks around them.

    problem: why the row cannot be used, or None. further: cells of further columns, by title.
    """

    number: int
    cells: Mapping[str, str]
    problem: str | None = None
    further: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """columns: places by name. ignored: titles of the other columns. Iterate over the rows.

    encoding: UTF-8, UTF-16 or Windows-1252. further: places of columns that were asked for by
    their titles. Iterating raises TableError.
    """

    encoding: str
    delimiter: str
    columns: Mapping[str, int]
    ignored: Sequence[str]
    _text: str
    further: Mapping[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Row]:
        records = _records(self._text, self.delimiter)
        _, header = next(records)
        for count, (number, cells) in enumerate(records):
            if count == MAX_ROWS:
                raise TableError(f"at most {MAX_ROWS:,} rows are allowed: split the file")
            named, further = (
                {
                    name: cells[place].strip() if place < len(cells) else ""
                    for name, place in columns.items()
                }
                for columns in (self.columns, self.further)
            )
            yield Row(number, named, self._problem(cells, width=len(header)), further)

    def note(self) -> str | None:
        """A sentence on a guessed encoding."""
        if self.encoding == "Windows-1252":
            return f"The table was read as Windows-1252; if names look wrong, {_ADVICE}."
        return None

    def _problem(self, cells: Sequence[str], *, width: int) -> str | None:
        if len(cells) <= self.columns["label"]:
            return "too few cells"
        if any(cell.strip() for cell in cells[width:]):
            return "more cells than the header; quote cells that contain a separator"
        for place, cell in enumerate(cells):
            if "\n" in cell or "\r" in cell:
                if self._holds_rows(cell):
                    return "a quotation mark is not closed, so that rows became one cell"
                in_one_line = {place for name, place in self.columns.items() if name != "file"}
                if place in in_one_line:
                    return "a quoted cell spans several lines"
        return None

    def _holds_rows(self, cell: str) -> bool:
        """Whether lines of a cell look like rows: then its quotation mark is likely a mistake.

        Sentences, other than rows, have a blank after a comma or semicolon.
        """
        place = self.columns["label"]
        second = max(place, 1)
        return any(
            len(cells) > second
            and not cells[second][:1].isspace()
            and plain_label(cells[place]) in LABELS
            for cells in csv.reader(cell.splitlines()[1:], delimiter=self.delimiter)
        )


def read_table_file(
    path: Path,
    columns: Collection[str],
    *,
    patient_column: str | None = None,
    further: Collection[str] = (),
) -> Table:
    """Like `read_table`, from a file. Raises TableError, whose message begins with the path."""
    content = read_bytes(path)
    try:
        return read_table(content, columns, patient_column=patient_column, further=further)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def read_bytes(path: Path) -> bytes:
    """Return the whole file. Raises TableError, whose message begins with the path."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_TABLE_BYTES:
        limit = bytes_words(MAX_TABLE_BYTES)
        raise TableError(f"{path}: larger than {limit}; split it into several files")
    return content


def read_table(
    content: bytes,
    columns: Collection[str],
    *,
    patient_column: str | None = None,
    further: Collection[str] = (),
) -> Table:
    """Read the columns (keys of SPELLINGS) that are there; `label` must be.

    patient_column: the title of the column `patient`, instead of its usual ones. further: titles
    of other columns, which must be there. Raises TableError.
    """
    spellings = {spelled: name for name in columns for spelled in SPELLINGS[name]}
    if patient_column is not None:
        spellings = {spelled: name for spelled, name in spellings.items() if name != "patient"}
        spellings[plain_title(patient_column)] = "patient"
    text, encoding = _decoded(content)
    text, delimiter = _dialect(text, spellings)
    header = _header(text, delimiter)
    places, ignored = _columns(header, spellings)
    if patient_column is not None and "patient" not in places:
        raise TableError(f"there is no column {readable(patient_column)}")
    return Table(encoding, delimiter, places, ignored, text, _further(header, further))


def _decoded(content: bytes) -> tuple[str, str]:
    """Return the text and the name of its encoding."""
    if content.startswith(_WORKBOOKS):
        raise TableError(f"a spreadsheet's own format, not CSV: {_ADVICE}")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text, encoding = _strictly(content, "utf-16"), "UTF-16"
    else:
        text, encoding = _without_mark(content)
    if text is None or "\0" in text or (encoding != "UTF-8" and _CONTROLS.search(text)):
        raise TableError(f"not a CSV file: {_ADVICE}")
    return text, encoding


def _without_mark(content: bytes) -> tuple[str | None, str]:
    text = _strictly(content, "utf-8-sig")
    if text is not None:
        return text, "UTF-8"
    # Letters in UTF-8 beside bytes that are not: damaged, or written by two programs.
    mixed = content.decode("utf-8", "surrogateescape")
    if re.search("[\x80-\ud7ff\ue000-\U0010ffff]", mixed):
        line = 1 + re.split("[\udc80-\udcff]", mixed, maxsplit=1)[0].count("\n")
        raise TableError(f"not a CSV file: line {line} is not UTF-8; {_ADVICE}")
    return _strictly(content, "cp1252"), "Windows-1252"


def _strictly(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _dialect(text: str, spellings: Mapping[str, str]) -> tuple[str, str]:
    """Return the text without a line `sep=`, which spreadsheets do not show, and the separator."""
    text = text.removeprefix("\ufeff")
    if named := _SEPARATOR.match(text):
        return text[named.end() :], named["delimiter"]

    def known_columns(delimiter: str) -> tuple[int, int]:
        titles = _header(text, delimiter)
        return sum(plain_title(title) in spellings for title in titles), len(titles)

    return text, max(DELIMITERS, key=known_columns)


def _header(text: str, delimiter: str) -> list[str]:
    return next((cells for _, cells in _records(text, delimiter)), [])


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield records that are not blank, numbered as a spreadsheet does; cells may span lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise TableError(
                f"row {number} cannot be parsed: a cell is too long,"
                " or its quotation mark is not closed"
            ) from None
        if any(cell.strip() for cell in cells):
            yield number, cells


def _columns(header: list[str], spellings: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    if not header:
        raise TableError("the table is empty: expected a header with file and label, and rows")
    if len(header) > MAX_COLUMNS:
        raise TableError(f"at most {MAX_COLUMNS} columns are allowed")
    found: dict[str, list[int]] = {}
    for place, title in enumerate(header):
        if name := spellings.get(plain_title(title)):
            found.setdefault(name, []).append(place)
    columns: dict[str, int] = {}
    for name, places in found.items():
        # Of `file` and `path` in one table, `file` is meant.
        best = [place for place in places if plain_title(header[place]) == name] or places
        if len(best) > 1:
            titles = ", ".join(_shown(header[place]) for place in best[:2])
            raise TableError(f"duplicate columns: {titles}; rename or delete one")
        columns[name] = best[0]
    _check_named(columns, spellings)
    others = (title for place, title in enumerate(header) if place not in columns.values())
    return columns, [shown for title in others if (shown := _shown(title))]


def _further(header: list[str], titles: Collection[str]) -> dict[str, int]:
    plain = [plain_title(title) for title in header]
    for title in titles:
        if plain_title(title) not in plain:
            raise TableError(f"there is no column {readable(title)}")
    return {title: plain.index(plain_title(title)) for title in titles}


def _check_named(columns: Collection[str], spellings: Mapping[str, str]) -> None:
    """A row must name its label, and its image in one of the ways that are wanted."""
    ways = {"file": "file", "sha256": "sha256", "uid": "SOP Instance UID"}
    wanted = [ways[name] for name in ways if name in spellings.values()]
    missing = ["label"] if "label" not in columns else []
    if not any(name in columns for name in ways):
        missing.insert(0, " or ".join(wanted))
    if missing:
        names = " or ".join(wanted)
        raise TableError(
            f"there is no column {', '.join(missing)}: "
            f"expected a first line that names the columns {names}, and label"
        )


def _shown(title: str) -> str:
    """A title for messages, in printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in title).split())[:40]
