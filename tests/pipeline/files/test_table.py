"""Reading tables in the forms that spreadsheets and programs give them."""

import pytest

from pipeline.files.cells import patient_id, plain_label
from pipeline.files.table import Row, Table, TableError, read_table

COLUMNS = ("file", "label", "patient")
ROWS = [("a 1.png", "normal"), ("b.png", "pneumonia")]


def read(content: str | bytes, **options: str) -> Table:
    encoded = content.encode() if isinstance(content, str) else content
    return read_table(encoded, COLUMNS, **options)


def cells(table: Table) -> list[tuple[str, str]]:
    return [(row.cells["file"], row.cells["label"]) for row in table if row.problem is None]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("file,label\na 1.png,normal\nb.png,pneumonia\n", ","),
        ("file;label\r\na 1.png;normal\r\nb.png;pneumonia", ";"),
        ("file\tlabel\ra 1.png\tnormal\rb.png\tpneumonia\r", "\t"),
        ("\n \n;;\nFile Name;LABEL\n;\na 1.png;normal\n\nb.png;pneumonia\n\n", ";"),
        ("sep=;\nfile;label\na 1.png;normal\nb.png;pneumonia\n", ";"),
        ('"SEP=|",,\nfile|label\na 1.png|normal\nb.png|pneumonia\n', "|"),
        ("sep=\t\nfile\tlabel\na 1.png\tnormal\nb.png\tpneumonia\n", "\t"),
        ('"a;b;c;d",file,label\n,a 1.png,normal\n"x,;""y""",b.png,pneumonia\n', ","),
        ('file_name,label,"note\nsecond line"\na 1.png,normal,\nb.png,pneumonia,"1\n\n2"\n', ","),
        ("path;label;a,b,c,d\na 1.png;normal;,,,\nb.png;pneumonia;1,2\n", ";"),
        (" file , LABEL \n a 1.png , normal \n b.png , pneumonia \n", ","),
    ],
)
def test_separators_blank_rows_and_quotes(text: str, delimiter: str) -> None:
    for content in (text, "\ufeff" + text):
        table = read(content)
        assert (cells(table), table.delimiter) == (ROWS, delimiter)


@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_encodings(codec: str, encoding: str) -> None:
    table = read("file;label\nMüller “1”.png;normal\n".encode(codec))
    assert (cells(table), table.encoding) == ([("Müller “1”.png", "normal")], encoding)
    assert (table.note() is None) == (encoding != "Windows-1252")


def test_utf_16_of_either_byte_order() -> None:
    for codec in ("utf-16-be", "utf-16-le"):
        assert cells(read("\ufefffile\tlabel\nß\t1\n".encode(codec))) == [("ß", "1")]


def test_rows_have_the_numbers_that_a_spreadsheet_shows() -> None:
    text = 'sep=,\n\nfile,label,note\n\na,0,"1\n2\n3"\n,\nb,1,\n'
    assert [row.number for row in read(text)] == [4, 6]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a", "too few cells"),
        ("a,0,1,2", "more cells than the header; quote cells that contain a separator"),
        ('a,"nor\nmal"', "a quoted cell spans several lines"),
        (
            'a,0,"12 cm\nb,1,\nc,0,\n',
            "a quotation mark is not closed, so that rows became one cell",
        ),
        ('"a,0\nb,1\nc",0', "a quotation mark is not closed, so that rows became one cell"),
    ],
)
def test_rows_that_cannot_be_used_have_a_reason(row: str, problem: str) -> None:
    (found,) = read(f"file,label,note\n{row}\n")
    assert (found.number, found.problem) == (2, problem)


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("order", [("file", "label", "note"), ("label", "file", "note")])
def test_reports_of_several_lines_are_no_rows(separator: str, order: tuple[str, ...]) -> None:
    lines = ("Lungs clear.", "Heart, normal, no effusion.", "Normal, no effusion.", "0")
    report = "\n".join(lines).replace(",", separator)
    cell = {"file": "a.png", "label": "0", "note": f'"{report}"'}
    text = f"{separator.join(order)}\n{separator.join(cell[name] for name in order)}\n"
    assert cells(read(text)) == [("a.png", "0")]


def test_column_with_the_exact_title_goes_before_other_titles() -> None:
    table = read("path,File,patient_id,label,patient\na/b,b,x,0,y\n")
    assert list(table) == [Row(2, {"file": "b", "label": "0", "patient": "y"})]
    assert table.ignored == ["path", "patient_id"]


def test_file_names_may_contain_line_breaks() -> None:
    assert cells(read('file,label\n"a\nb.png",0\n')) == [("a\nb.png", "0")]


def test_patient_column_by_another_title() -> None:
    (row,) = read("file,label,patient,Fall-Nr.\na,0,x,y\n", patient_column="fall nr.")
    assert row == Row(2, {"file": "a", "label": "0", "patient": "y"})
    with pytest.raises(TableError, match="there is no column who"):
        read("file,label\na,0\n", patient_column="who")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the table is empty"),
        (b"\xef\xbb\xbf\r\n\r\n", "the table is empty"),
        (b"sep=;\n", "the table is empty"),
        (b"a.png,normal\n", "no column file, label: expected a first line"),
        (b"file,finding\na.png,normal\n", "no column label"),
        (
            b"path,filename,label\na,b,0\n",
            "duplicate columns: path, filename; rename or delete one",
        ),
        (b"File,path,file,label\na,b,c,0\n", "duplicate columns: File, file; rename or"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not a CSV file: save it as CSV UTF-8"),
        (b"\x89PNG\r\n\x1a\nfile,label", "not a CSV file: save it as CSV UTF-8"),
        (b"PK\x03\x04\x14\0\6\0", "a spreadsheet's own format, not CSV: save it as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a spreadsheet's own format"),
        (b"f\0i\0l\0e\0", "not a CSV file"),
        (b"\xff\xfef\0i\0", "no column file, label"),
        (b"\xff\xfef\0i\0l", "not a CSV file"),
        (b"file,label\n\x81,normal\n", "not a CSV file"),
        ("file,label\nß,0\n".encode() + b"\xdf,0\n", "line 3 is not UTF-8; save it as CSV UTF-8"),
        (b'file,label\n"' + b"x" * 200_000, "row 2 cannot be parsed: a cell is too long"),
        (b"file,label\n" + b"a,\n" * 300_001, "at most 300,000 rows are allowed: split the file"),
        (b"file,label" + b",a" * 200 + b"\n", "at most 200 columns"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(content: bytes, complaint: str) -> None:
    with pytest.raises(TableError, match=complaint) as caught:
        list(read(content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        *("1.2E+11", "1,2E+11", "1.23457E+11", "1E+11", "1.2e+11", "1.2E11", "-1.5E-05"),
        *("4711.0", "4711,00", "#####", "#NAME?", "#N/A"),
    ],
)
def test_patient_ids_changed_by_a_spreadsheet_are_refused(changed: str) -> None:
    with pytest.raises(ValueError, match=r"format its column as text") as caught:
        patient_id(changed)
    assert changed not in str(caught.value) or changed == "1.2E+11", "patients are not shown"


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        *((kept, kept) for kept in ("", "120000000000", "12E5", "1E-4", "E+11", "1.2.3", "#12")),
        *((kept, kept) for kept in ("2019E-0042", "123E+45")),
        ("'0012", "0012"),
        ("'=1", "=1"),
        ("'s", "'s"),
    ],
)
def test_other_patient_ids_are_kept(cell: str, kept: str) -> None:
    assert patient_id(cell) == kept


def test_plain_label() -> None:
    spelled = ["0", "0.0", "1,0", "1.", " NORMAL ", "1.5", "v1.0"]
    assert [plain_label(text) for text in spelled] == ["0", "0", "1", "1", "normal", "1.5", "v1"]
