"""Titles and cells of tables, in the spellings that people and spreadsheets give them."""

import re

SPELLINGS = {  # of columns, reduced by `plain_title`
    "file": ("file", "filename", "path"),
    "sha256": ("sha256",),
    "uid": ("sopinstanceuid", "sopuid"),
    "label": ("label",),
    "patient": ("patient", "patientid"),
    "reader": ("reader",),
    "time": ("time", "date", "datetime", "readat"),
    "split": ("split",),
    "origin": ("origin",),
    "population": ("population",),
    "view": ("view", "viewposition"),
    "sex": ("sex", "patientsex"),
    "age": ("age", "patientage"),
}
LABELS = {  # as `plain_label` gives them
    **{name: name for name in ("normal", "pneumonia", "unusable")},
    "0": "normal",
    "1": "pneumonia",
}

# 1.2E+11 and 1,2E+11; 4711.0; ##### where a column was too narrow; errors such as #NAME?
_CHANGED_NUMBER = re.compile(r"[+-]?\d([.,]\d+)?E[+-]\d{2,}|[+-]?\d[.,]\d+E\d+|\d+[.,]0+", re.I)
_ERROR = re.compile(r"#+|#(NAME\?|VALUE!|REF!|N/A|DIV/0!|NUM!|NULL!)")


def plain_title(title: str) -> str:
    """`File Name`, `file_name` and `FILE-NAME` are one column."""
    return re.sub(r"[\W_]", "", title.casefold())


def plain_label(text: str) -> str:
    """Return the label in lower case; `1.0` and `1,0`, as spreadsheets write it, as `1`."""
    return re.sub(r"(?<=\d)[.,]0*$", "", text.strip().casefold())


def patient_id(cell: str) -> str:
    """Return the id without the apostrophe that marks text for a spreadsheet.

    Raises ValueError for a number that a spreadsheet has changed: two patients could become one.
    """
    bare = unguarded(cell)
    bare = bare[1:] if re.match(r"'\d", bare) else bare
    if _CHANGED_NUMBER.fullmatch(bare) or _ERROR.fullmatch(bare):
        raise ValueError(
            "the patient id was changed by a spreadsheet (as to 1.2E+11): "
            "format its column as text and enter the ids again"
        )
    return bare


# Spreadsheets run text that looks like a formula (OWASP, "CSV Injection"), so exported text gets
# an apostrophe in front. It need not begin with the sign itself: spreadsheets drop blanks and
# quotes before it, and accept its full-width form.
SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four: full-width
CONTROLS = ("\t", "\r", "\n", "\0")
DROPPED = " \t\r\n\f\v\0\xa0\ufeff\"'"


def guarded(text: str) -> str:
    # An apostrophe before a control character gets one more, so that `unguarded` can undo it.
    is_suspect = text.lstrip("'").startswith(CONTROLS) or text.lstrip(DROPPED).startswith(SIGNS)
    return f"'{text}" if is_suspect else text


def unguarded(cell: str) -> str:
    """The text before `guarded`: an exported table may be imported with labels."""
    bare = cell.removeprefix("'")
    return bare if guarded(bare) == cell else cell
