"""Zip archives: every member is readable or refused, and no name leaves the archive."""

import stat
import struct
import time
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import RefusalCode, RefusedError
from pipeline.files.archive import is_archive, members
from tests.support.imaging.zips import PNG, an_entry, make_zip, outcomes


def test_members_are_in_order_without_folders_and_junk(tmp_path: Path) -> None:
    path = make_zip(
        tmp_path / "x.zip",
        [
            ("study/", b""),
            ("study/b.png", PNG),
            ("__MACOSX/study/._b.png", b"junk"),
            ("study/._b.png", b"junk"),
            ("study/.DS_Store", b"junk"),
            ("Thumbs.db", b"junk"),
            ("a.txt", b"text"),
        ],
    )
    assert list(outcomes(path).items()) == [("study/b.png", PNG), ("a.txt", b"text")]


def test_names_outside_the_archive_are_refused(tmp_path: Path) -> None:
    names = ["../x.png", "a/../../x.png", "..\\x.png", "/etc/x.png", "\\x.png", "C:\\x.png"]
    path = make_zip(tmp_path / "x.zip", [(name, PNG) for name in names])
    found = list(outcomes(path).values())
    assert found[:3] == ["its name points outside the archive ('..')"] * 3
    assert found[3:] == ["its name is an absolute path"] * 3


def test_empty_files_and_nested_archives_are_refused(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", [("a.png", PNG)]).read_bytes()
    files = [("empty.png", b""), ("inner.ZIP", b"PK"), ("inner.png", inner), ("ok.png", PNG)]
    assert outcomes(make_zip(tmp_path / "x.zip", files)) == {
        "empty.png": "the file is empty",
        "inner.ZIP": "it is a zip archive inside a zip archive",
        "inner.png": "it is a zip archive inside a zip archive",
        "ok.png": PNG,
    }


@pytest.mark.parametrize("first", ["[Content_Types].xml", "customXml/item1.xml", "xl/a.xml"])
def test_documents_are_named(first: str, tmp_path: Path) -> None:
    office = make_zip(tmp_path / "x.docx", [(first, b"<Types/>")])
    mime_type = [(an_entry("mimetype"), b"application/vnd.oasis.opendocument.text")]
    opendocument = make_zip(tmp_path / "x.odt", mime_type).read_bytes()
    with pytest.raises(RefusedError, match="received an Office document"):
        outcomes(office)
    both = [("a.docx", office.read_bytes()), ("b.odt", opendocument), ("ok.png", PNG)]
    assert outcomes(make_zip(tmp_path / "x.zip", both)) == {
        "a.docx": "expected a radiograph, received an Office document",
        "b.odt": "expected a radiograph, received an OpenDocument file",
        "ok.png": PNG,
    }


def test_equal_names_are_two_files(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = make_zip(tmp_path / "x.zip", [("a.png", PNG), ("a.png", b"other")])
    assert outcomes(path) == {"a.png": PNG, "a.png (2)": b"other"}


def test_bombs_and_empty_archives_are_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", [("zeros.png", bytes(30_000_000)), ("ok.png", PNG)])
    assert outcomes(path)["zeros.png"] == "it unpacks to more than 200 times its size"
    assert outcomes(path, max_member_bytes=1000) == {
        "zeros.png": "it unpacks to more than 1000 bytes",
        "ok.png": "it unpacks to more than 1000 bytes",
    }
    with pytest.raises(RefusedError, match="unpacks to more than 1000000 bytes"):
        outcomes(path, max_bytes=1_000_000)
    with pytest.raises(RefusedError, match="contains 2 files, expected at most 1"):
        outcomes(path, max_files=1)
    with pytest.raises(RefusedError, match="contains no files"):
        outcomes(make_zip(path, []))


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    """Two directory entries for the same bytes, as in bombs."""
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG), ("b.png", PNG)])
    patched(path, at=42, value=bytes(4))  # its local header is now the first one
    with pytest.raises(RefusedError, match="entries overlap"):
        outcomes(path)


def test_damaged_member_does_not_affect_the_others(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG), ("b.png", PNG)])
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    assert outcomes(path) == {"a.png": "the archive is damaged at this file", "b.png": PNG}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_archive_is_refused(tmp_path: Path, share: float) -> None:
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG)])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RefusedError, match="directory cannot be read") as refusal:
        outcomes(path)
    assert refusal.value.reason.code == RefusalCode.DAMAGED


def test_image_followed_by_an_archive_is_an_image(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG)])
    assert is_archive(path.read_bytes())
    assert not is_archive(PNG + path.read_bytes())


def patched(path: Path, *, at: int, value: bytes) -> Path:
    """Change bytes in the last entry of the central directory (APPNOTE 4.3.12)."""
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + at : entry + at + len(value)] = value
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_special_files_are_refused(tmp_path: Path, kind: int) -> None:
    path = make_zip(tmp_path / "x.zip", [(an_entry("a.png", mode=kind | 0o666), PNG)])
    assert outcomes(path) == {"a.png": "it is a link or another special file"}


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encrypted_files_are_refused(tmp_path: Path, flag: int) -> None:
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG)])
    patched(path, at=8, value=struct.pack("<H", flag))
    assert outcomes(path) == {"a.png": "it is encrypted"}


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        # One block may hold gigabytes and is unpacked at once, whatever size is stated.
        (zipfile.ZIP_BZIP2, "its compression method is not supported"),
        (zipfile.ZIP_LZMA, "its compression method is not supported"),
        (zipfile.ZIP_DEFLATED, "the archive is damaged at this file"),
    ],
)
def test_member_larger_than_stated_is_not_unpacked(
    tmp_path: Path, method: int, reason: str
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("ok.png", PNG, zipfile.ZIP_DEFLATED)
        archive.writestr("a.png", bytes(10_000_000))
    patched(path, at=24, value=struct.pack("<I", 1000))
    tracemalloc.start()
    assert outcomes(path) == {"a.png": reason, "ok.png": PNG}
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_directory_with_too_many_entries_is_not_read(tmp_path: Path) -> None:
    """The end record states one entry, but zipfile goes by the size."""
    path = make_zip(tmp_path / "x.zip", [("a", b"x")])
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    directory = content[start:end] * 300_000
    record = bytearray(content[end:])
    record[12:16] = struct.pack("<I", len(directory))
    path.write_bytes(content[:start] + directory + record)
    began = time.process_time()
    with pytest.raises(RefusedError, match="lists more than 200 entries"):
        outcomes(path, max_files=100)
    assert time.process_time() - began < 1
    record[12:16] = struct.pack("<I", 2**27)
    path.write_bytes(content[:start] + record)
    with pytest.raises(RefusedError, match="directory is larger than 64 MiB"):
        outcomes(path)


def test_many_equal_names_are_numbered_quickly(tmp_path: Path) -> None:
    names = ["a"] * 2000 + [f"a ({number})" for number in range(2000)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = make_zip(tmp_path / "x.zip", [(name, b"x") for name in names])
    began = time.process_time()
    shown = [member.name for member in members(path)]
    assert len(set(shown)) == 4000
    assert time.process_time() - began < 1


def test_concatenated_archives_are_refused(tmp_path: Path) -> None:
    """zipfile reads the second only, be it after the first or in its comment."""
    first = make_zip(tmp_path / "1.zip", [("a.png", PNG)]).read_bytes()
    second = make_zip(tmp_path / "2.zip", [("b.png", PNG)]).read_bytes()
    behind, comment = tmp_path / "behind.zip", tmp_path / "comment.zip"
    behind.write_bytes(first + second)
    comment.write_bytes(first[:-2] + struct.pack("<H", len(second)) + second)
    for path in (behind, comment):
        with pytest.raises(RefusedError, match="first entry is not at its start"):
            outcomes(path)


def test_large_extra_fields_are_not_read(tmp_path: Path) -> None:
    """zipfile takes a tenth of a second for each, and a directory may have a thousand."""
    entries = [(an_entry(f"{n}.png", extra=b"\xff\xff\0\0" * 16_000), PNG) for n in range(20)]
    path = make_zip(tmp_path / "x.zip", entries)
    began = time.process_time()
    with pytest.raises(RefusedError, match="too large extra fields"):
        outcomes(path)
    assert time.process_time() - began < 0.5
