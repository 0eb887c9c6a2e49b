"""Names in zip archives in any encoding are safe to show, and the directory is checked."""

import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from pipeline.files.archive_checks import shown_name
from tests.support.imaging.zips import PNG, an_entry, make_zip, outcomes

TURNED = "\ufffdE2\ufffd80\ufffdAE"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\\b\\c.png", "a/b/c.png"),
        ("../../x.png", "x.png"),
        ("a\x1b[31m.png", "a\ufffd1B[31m.png"),
        ("gnp.\u202exe", f"gnp.{TURNED}xe"),
        ("Röntgen/ü.png", "Röntgen/ü.png"),
        ("", "(no name)"),
    ],
)
def test_shown_names(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def unicode_path(name: str, *, raw: bytes) -> bytes:
    """APPNOTE 4.6.9."""
    field = struct.pack("<BI", 1, zlib.crc32(raw)) + name.encode()
    return struct.pack("<HH", 0x7075, len(field)) + field


@pytest.mark.parametrize(
    ("stored", "extra", "shown"),
    [
        ("Muller.png", unicode_path("Müller/胸部.png", raw=b"Muller.png"), "Müller/胸部.png"),
        ("Muller.png", unicode_path("other.png", raw=b"not this one"), "Muller.png"),
        ("Muller.png", b"\x75\x70\x03\x00\x01ab", "Muller.png"),
        ("a.png", unicode_path("\u202egnp.exe", raw=b"a.png"), f"{TURNED}gnp.exe"),
    ],
)
def test_unicode_path_field_is_used_if_it_matches(
    tmp_path: Path, stored: str, extra: bytes, shown: str
) -> None:
    path = make_zip(tmp_path / "x.zip", [(an_entry(stored, extra=extra), PNG)])
    assert outcomes(path) == {shown: PNG}


@pytest.mark.parametrize("hidden", ["../evil.png", "/etc/evil.png", "C:\\evil.png", "inner.zip"])
def test_unicode_path_field_cannot_hide_a_bad_name(tmp_path: Path, hidden: str) -> None:
    entry = an_entry("good.png", extra=unicode_path(hidden, raw=b"good.png"))
    (outcome,) = outcomes(make_zip(tmp_path / "x.zip", [(entry, PNG)])).values()
    assert isinstance(outcome, str)


def test_names_in_old_code_pages_are_decoded_as_cp437(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", [("a?b.png", PNG)])
    raw = path.read_bytes().replace(b"a?b.png", b"a\x81b.png")
    path.write_bytes(raw)
    assert outcomes(path) == {"aüb.png": PNG}


@pytest.mark.parametrize("is_zip64", [False, True])
def test_private_end_record_of_zipfile_is_as_in_cpython_3_11(
    tmp_path: Path, is_zip64: bool
) -> None:
    """`_EndRecData` was read in CPython 3.11.7: signature, size and place are items 0, 5 and 9."""
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG)])
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    if is_zip64:
        size = struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, 1, 1, end - start, start)
        locator = b"PK\x06\x07" + struct.pack("<LQL", 0, end, 1)
        content = content[:end] + b"PK\x06\x06" + size + locator + content[end:]
        path.write_bytes(content)
    with path.open("rb") as stream:
        record = zipfile._EndRecData(stream)  # type: ignore[attr-defined]
    assert record[0] == (b"PK\x06\x06" if is_zip64 else b"PK\x05\x06")
    assert (record[5], record[9]) == (end - start, content.index(b"PK\x05\x06"))
    assert outcomes(path) == {"a.png": PNG}
