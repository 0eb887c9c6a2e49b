"""Media types from content, and files that operating systems leave behind."""

import bz2
import gzip
import lzma
import struct
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


def nifti(*, order: str = "<", magic: bytes = b"n+1\0") -> bytes:
    """NIfTI-1: the header's length first, the magic at 344."""
    return struct.pack(f"{order}i", 348).ljust(344, b"\0") + magic + bytes(100)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty"),
        (b"PK\x03\x04", "a zip archive"),
        (b"%PDF-1.4", "a PDF file"),
        (b"\xef\xbb\xbf\r\n%PDF-1.4", "a PDF file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript file"),
        (b"GIF89a", "a GIF image"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"  <svg xmlns=", "an SVG image"),
        (b'<?xml version="1.0"?><NativeDicomModel>', "DICOM as XML"),
        (b'<?xml version="1.0"?><a/>', "XML text"),
        (b'[{"00080005":{"vr":"CS"', "DICOM as JSON"),
        (b'{"a": 1}', "JSON text"),
        (b"ObjectType = Image\nNDims = 3\n", "a MetaImage header"),
        (b"file,label\r\na.png,normal\r\n", "a CSV table"),
        (b"hello", "plain text"),
        (b"P5\n64 64\n255\n\0\0\0", "a Netpbm image"),
        (b"NRRD0004\ntype: short\n", "an NRRD image"),
        (b"MZ\x90\0\3\0\0\0", "a Windows program"),
        (b"\x7fELF\2\1\1\0", "a program"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(8), "an Office document of the old format"),
        (b"\xff\x0a\xfa\x1f\x41", "a JPEG XL image"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "a JPEG XL image"),
        (b"\0\0\0\x18ftypmp42", "an MP4 video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "a QuickTime video"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC image"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC image"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "an AVIF image"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B", "an AVIF image"),
        (nifti(), "a NIfTI image"),
        (nifti(order=">"), "a NIfTI image"),
        (gzip.compress(nifti(), mtime=0), "a NIfTI image"),
        (struct.pack("<i", 540) + b"n+2\0\r\n\x1a\n" + bytes(540), "a NIfTI image"),
        (nifti(magic=bytes(4)), "an Analyze image"),
        (b"\x01\xfe\xfd\xfc" * 9, "neither DICOM, PNG, JPEG nor TIFF"),
        (b"\x08\x00\x05\x00\xff\xff\xff\x7f" + bytes(20), "neither DICOM"),
    ],
)
def test_sniff_names_unsupported_files(head: bytes, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        sniff(head)


def a_tar(*, has_magic: bool = True) -> bytes:
    entry = tarfile.TarInfo("a.dcm")
    block = entry.tobuf(tarfile.USTAR_FORMAT)
    if not has_magic:  # as before POSIX.1-1988; the checksum at 148 counts itself as spaces
        block = block[:148] + b" " * 8 + block[156:257] + bytes(8) + block[265:]
        block = block[:148] + b"%06o\0 " % sum(block) + block[156:]
    return block + bytes(1024)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (a_tar(), "a tar archive"),
        (a_tar(has_magic=False), "a tar archive"),
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
