"""Parsing label tables: spellings, separators, bad rows by line."""

from datetime import UTC, datetime, timedelta

import pytest

from models.base import now
from models.tables.learning import LabelValue
from pipeline.files.table import TableError
from web.labels.csv_file import LabelTable, read_label_table

PNEUMONIA, NORMAL, UNUSABLE = LabelValue


def read(text: str | bytes, *, time_zone: str = "Europe/Berlin") -> LabelTable:
    content = text.encode() if isinstance(text, str) else text
    return read_label_table(content, time_zone=time_zone)


@pytest.mark.parametrize(
    "text",
    [
        "file,label\na/1.png,normal\na/2.png,pneumonia\n",
        "\ufefffile;label\r\na/1.png;normal\r\na/2.png;pneumonia\r\n",
        'File\tLabel\n"a/1.png"\t"NORMAL"\n"a/2.png"\t"Pneumonia"',
        "label,file,comment\n0,a/1.png,\n1,a/2.png,sure\n",
        "File name,label\n\n./a\\1.png,normal\n/a/2.png,1\n,\n",
    ],
)
def test_read_label_table_accepts_separators_quotes_and_spellings(text: str) -> None:
    table = read(text)
    assert [(row.files[0], row.value) for row in table.rows] == [
        ("a/1.png", NORMAL),
        ("a/2.png", PNEUMONIA),
    ]
    assert table.problems == []
    assert table.ignored_columns == (["comment"] if "comment" in text else [])


@pytest.mark.parametrize("title", ["SOP Instance UID", "SOPInstanceUID", "sop_instance_uid"])
def test_read_label_table_accepts_spellings_of_the_uid_column(title: str) -> None:
    (row,) = read(f"{title},label\n1.2.3,unusable\n").rows
    assert (row.uid, row.files, row.value) == ("1.2.3", (), UNUSABLE)


def test_read_label_table_reports_bad_rows_by_line() -> None:
    table = read(
        "file,label,time\n"
        "a.png,sick,\n"
        ",normal,\n"
        "b.png,normal,2026-01-02T03:04:05Z\n"
        "c.png\n"
        "d.png,normal,yesterday\n"
        f"e.png,normal,{(now() + timedelta(hours=1)).isoformat()}\n"
        "f.png,normal,\n"
        "g.png,normal,,,\n"
        "ward 3, bed 2/h.png,normal,2026-01-01\n"
    )
    assert [row.files[0] for row in table.rows] == ["b.png", "f.png", "g.png"]
    assert [(problem.line, problem.reason.split(":")[0]) for problem in table.problems] == [
        (2, "expected a label"),
        (3, "no image is named"),
        (5, "too few cells"),
        (6, "expected a time such as 2026-03-01T14"),
        (7, "the time is in the future"),
        (10, "more cells than the header; quote cells that contain a separator"),
    ]


def test_times_without_a_zone_are_local() -> None:
    times = ["2026-01-02T12:00", "2026-07-02 12:00:00", "2026-01-02", "2026-01-02T12:00:00-05:00"]
    table = read("file,label,time\n" + "".join(f"{n},normal,{t}\n" for n, t in enumerate(times)))
    assert [row.read_at and row.read_at.astimezone(UTC) for row in table.rows] == [
        datetime(2026, 1, 2, 11, tzinfo=UTC),
        datetime(2026, 7, 2, 10, tzinfo=UTC),
        datetime(2026, 1, 1, 23, tzinfo=UTC),
        datetime(2026, 1, 2, 17, tzinfo=UTC),
    ]
    (row,) = read("file,label,time\na,normal,2026-01-02T12:00\n", time_zone="").rows
    assert row.read_at == datetime(2026, 1, 2, 12).astimezone()
    assert read("file,label,time\na,normal,0001-01-01\n").rows == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a.png,normal\n", "expected a first line"),
        (b"file,finding\na.png,normal\n", "no column label: expected a first line"),
        (b"label,finding\na.png,normal\n", "no column file or sha256 or SOP Instance UID: "),
        (b"path,filename,label\na,b,normal\n", "duplicate columns: path, filename"),
        (b"file,label,la\x10bel" + b"\x7f" * 500 + b"\n", "duplicate columns: label, la bel;"),
    ],
)
def test_invalid_tables_are_rejected_with_a_one_line_message(
    content: bytes, complaint: str
) -> None:
    with pytest.raises(TableError, match=complaint) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_patient_ids_that_a_spreadsheet_changed_are_refused_with_advice() -> None:
    table = read("file,label,Patient ID\na,0,1.2E+11\nb,0,12E\nc,0,'0012\n")
    assert [(row.files[0], row.patient) for row in table.rows] == [("b", "12E"), ("c", "0012")]
    ((line, reason),) = [(problem.line, problem.reason) for problem in table.problems]
    assert line == 2
    assert "format its column as text" in reason


def test_names_are_tried_as_this_and_earlier_releases_store_them() -> None:
    (tab, latin) = read("file,label\na\tb.png,0\nM\xfc.png,0\n".encode("cp1252")).rows
    assert tab.files == ("a\ufffd09b.png", "a\ufffdb.png", "ab.png")
    assert latin.files == ("M\xfc.png", "M\ufffdFC.png")
