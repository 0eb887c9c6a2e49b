"""File names and texts never become formulas in a spreadsheet."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files.cells import SIGNS, guarded, unguarded
from tests.support.data.uploads import a_png
from tests.support.web.portal import Portal
from web.http.export import csv_line

HOSTILE = (
    "=cmd|' /C calc'!A0.png",
    "+1+1.png",
    "-2+3.png",
    "@SUM(1,1).png",
    '"=1+1".png',
    "'=1+1.png",
    " =1+1.png",
    "\uff1d1+1.png",
    "a;=1+1.png",
    'a,"=1+1.png',
)


@pytest.mark.parametrize("text", [*HOSTILE, "\t=1", "\r=1", "\n=1", "\xa0=1", "\ufeff=1"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_cells_never_start_a_formula(text: str, separator: str) -> None:
    for cell, *more in csv.reader(io.StringIO(csv_line([text, 1]), newline=""), delimiter=","):
        assert not _would_run(cell)
        assert more == ["1"]
    # Quotes keep the text in one cell for programs with another separator.
    for cells in csv.reader(io.StringIO(csv_line([text]), newline=""), delimiter=separator):
        assert not any(_would_run(cell) for cell in cells)


def _would_run(cell: str) -> bool:
    return cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d")) or cell.lstrip(
        ' "\xa0\ufeff'
    ).startswith(("=", "+", "-", "@"))


@given(st.text() | st.text("'=\t 1"))
def test_guarded_adds_at_most_an_apostrophe(text: str) -> None:
    result = guarded(text)
    assert result in (text, f"'{text}")
    assert not result.startswith(SIGNS)
    assert unguarded(result) == text


def test_csv_line_writes_numbers_none_plain_names_and_lists() -> None:
    written = '-0.5,3,"","ward-7/one =1.png","b; c"\r\n'
    assert csv_line([-0.5, 3, None, "ward-7/one =1.png", ["b", "c"]]) == written


def test_results_csv_guards_file_names(portal: Portal) -> None:
    job = portal.new_job()
    files = [(name, a_png(seed=number)) for number, name in enumerate(HOSTILE)]
    portal.send(job, *files)
    portal.read_all(probability=0.25)
    answer = portal.program().get(f"/api/v1/results?job_id={job}&format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == len(HOSTILE)
    for row in rows:
        assert not any(_would_run(cell) for cell in row.values())
    assert ",0.25," in answer.text
