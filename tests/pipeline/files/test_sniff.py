"""Media types from content, and files that operating systems leave behind."""

import bz2
import gzip
import io
import lzma
import tarfile

import pytest

from pipeline.errors import RefusalCode, RefusedError
from pipeline.files.sniff import HEAD_BYTES, is_junk, sniff


@pytest.mark.parametrize(
    "head",
    [
        bytes(128) + b"DICM",
        b"\xff\xd8\xff" + bytes(125) + b"DICM",  # a preamble may look like anything
        b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100",  # implicit VR, no preamble
        b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100",  # explicit VR, no preamble
        b"\x02\x00\x00\x00UL\x04\x00\xb0\x00\x00\x00\x02\x00\x01\x00",  # meta information
    ],
)
def test_sniff_dicom(head: bytes) -> None:
    assert sniff(head) == "application/dicom"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty"),
        (b"PK\x03\x04", "a zip archive"),
        (b"%PDF-1.4", "a PDF file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript file"),
        (b"GIF89a", "a GIF image"),
        (b"<!DOCTYPE html><html>", "markup text"),
        (b"  <svg xmlns=", "markup text"),
        (b"\0\0\0\x18ftypmp42", "neither DICOM"),
        (b"hello", "neither DICOM, PNG, JPEG nor TIFF"),
        (b"\x08\x00\x05\x00\xff\xff\xff\x7f" + bytes(20), "neither DICOM"),
    ],
)
def test_sniff_names_unsupported_files(head: bytes, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        sniff(head)


def a_tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.dcm"))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (a_tar(), "a tar archive"),
        (gzip.compress(a_tar(), mtime=0), "a gzip archive"),
        (bz2.compress(a_tar()), "a bzip2 archive"),
        (lzma.compress(a_tar()), "an xz archive"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
    ],
)
def test_sniff_refuses_other_archives_with_advice(content: bytes, name: str) -> None:
    with pytest.raises(RefusedError) as caught:
        sniff(content[:HEAD_BYTES])
    assert caught.value.reason == (
        RefusalCode.ARCHIVE,
        f"received {name}: send its files, or pack them as a zip archive",
    )


def test_is_junk() -> None:
    junk = ["cd/DICOMDIR", "a/__MACOSX/b.png", "d/.DS_Store", "x\\Thumbs.db", "s/._a.png"]
    others = ["dicomdir.dcm", "a/b.png", "thumbs.db.png", "", "macosx/a"]
    assert [name for name in junk + others if is_junk(name)] == junk
