"""`overread label` against a portal."""

from pathlib import Path

import pytest

from pipeline.limits import MAX_TABLE_BYTES
from tests.support.data.rows import a_job, an_image
from tests.support.servers.portal_server import ServedPortal


@pytest.fixture
def service(service: ServedPortal) -> ServedPortal:
    """A portal that knows `ward/a.png` and `ward/b.png`."""
    with service.portal.database.sessions.begin() as session:
        job = a_job(session)
        for name in "ab":
            an_image(session, job, file=f"ward/{name}.png")
    return service


def test_label_sent_twice_adds_nothing(service: ServedPortal, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label,note\na.png,normal,x\nb.png,pneumonia,y\n")
    first, second = service.run("label", table), service.run("label", table)
    assert (first.exit_code, first.stdout) == (0, "2 labels added, 0 unchanged\n")
    assert first.stderr == "ignored columns: note\n"
    assert (second.exit_code, second.stdout) == (0, "0 labels added, 2 unchanged\n")


def test_label_lists_rejected_rows_by_number(service: ServedPortal, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.png,unknown\nb.png,pneumonia\nc.png,normal\n")
    result = service.run("label", table)
    assert result.exit_code == 1
    assert result.stdout == "1 label added, 0 unchanged, 2 rows rejected\n"
    assert [line[:7] for line in result.stderr.splitlines()] == ["row 2: ", "row 4: "]


def test_label_takes_tables_as_spreadsheets_write_them(
    service: ServedPortal, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes(
        'sep=;\r\n\r\nFile Name;LABEL;Comment\r\na.png;0,0;"two\nlines"\r\n'
        "./a.png;normal;später\r\nb.png;1;\r\n".encode("cp1252")
    )
    result = service.run("label", table)
    assert (result.exit_code, result.stdout) == (0, "2 labels added, 1 unchanged\n")
    assert result.stderr.splitlines() == [
        "ignored columns: Comment",
        "The table was read as Windows-1252; if names look wrong, save it as CSV UTF-8.",
        "1 copy of other images not counted: row 3 = row 4",
    ]


def test_label_refuses_what_is_not_a_csv_file_in_one_line(
    service: ServedPortal, tmp_path: Path
) -> None:
    image, large = tmp_path / "a.png", tmp_path / "large.csv"
    image.write_bytes(b"\x89PNG\r\n\x1a\n")
    with large.open("wb") as stream:
        stream.truncate(MAX_TABLE_BYTES + 1)
    for table, complaint in (
        (image, "not a CSV file: save it as CSV UTF-8"),
        (large, "large.csv: larger than 32 MiB"),
        (tmp_path / "missing.csv", "missing.csv: cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        result = service.run("label", table)
        assert result.exit_code == 2
        assert complaint in result.stderr
        assert result.stderr.count("\n") == 1
