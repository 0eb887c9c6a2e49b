"""CSV for spreadsheets, which take some texts for formulas and run them. All tables go out by it.

A text that a spreadsheet could take so gets an apostrophe in front, which shows that it is text.
It need not begin with the sign itself: spreadsheets drop blanks and quotes before it, and take its
full-width form for it. Texts stand in quotes, all of them: a semicolon in a file's name, where a
semicolon parts cells, would begin a new one. Numbers stay numbers. (OWASP, "CSV Injection")
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four: full-width
CONTROLS = ("\t", "\r", "\n", "\0")
DROPPED = " \t\r\n\f\v\0\xa0\ufeff\"'"

Value = str | int | float | datetime | Sequence[str] | None


def csv_line(values: Iterable[Value]) -> str:
    line = io.StringIO()
    writer = csv.writer(line, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([_cell(value) for value in values])
    return line.getvalue()


def _cell(value: Value) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    return as_text(value if isinstance(value, str) else "; ".join(value))


def as_text(text: str) -> str:
    # Apostrophes before a control do no harm; they get one more, so that it can be taken off again.
    is_suspect = text.lstrip("'").startswith(CONTROLS) or text.lstrip(DROPPED).startswith(SIGNS)
    return f"'{text}" if is_suspect else text


def without_guard(cell: str) -> str:
    """What `as_text` was given: a table that went out by it may come back with labels."""
    bare = cell.removeprefix("'")
    return bare if as_text(bare) == cell else cell
