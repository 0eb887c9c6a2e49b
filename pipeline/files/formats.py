"""Formats that are not read, by their first bytes: a refusal names what was received."""

import re
import tarfile
import zlib
from typing import Final

_SIGNATURES: Final = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (b"II\xbc\x01", "a JPEG XR image"),
    (b"GIF8", "a GIF image"),
    (b"8BPS", "a Photoshop image"),
    (b"\0\0\1\0", "an icon"),
    (b"SIMPLE  =", "a FITS image"),
    (b"NRRD0", "an NRRD image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance image"),
    (b"qoif", "a QOI image"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document of the old format"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"CDF\x01", "a NetCDF file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"MATLAB 5.0", "a MATLAB file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet table"),
    (b"\x1a\x45\xdf\xa3", "a Matroska video"),
    (b"\0\0\1\xba", "an MPEG video"),
    (b"\0\0\1\xb3", "an MPEG video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media video"),
    (b"ID3", "an MP3 sound"),
    (b"OggS", "an Ogg file"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"#!", "a script"),
)
# Only zip archives are unpacked.
_ARCHIVES: Final = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1f\x9d", "a compress archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x04\x22\x4d\x18", "an LZ4 archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"MSCF", "a cabinet archive"),
    (b"LZIP", "an lzip archive"),
)
# ISO base media files (ISO/IEC 14496-12 4.3) by their brands, the rarer ones first: AVIF and HEIC
# share the brand mif1.
_BRANDS: Final = (
    (rb"avi[fos]", "an AVIF image"),
    (rb"hei[cxms]|hev[cxms]|mif1|msf1", "a HEIC image"),
    (rb"crx ", "a raw camera image"),
    (rb"qt  ", "a QuickTime video"),
)
_RIFF: Final = {b"AVI ": "an AVI video", b"WAVE": "a WAV sound"}
_MARKUP: Final = (
    (rb"%PDF-", "a PDF file"),  # readers look for it in the first 1024 bytes
    (rb"<nativedicommodel", "DICOM as XML"),
    (rb"<svg", "an SVG image"),
    (rb"<!doctype html|<html|<head|<body", "an HTML page"),
    (rb"<\?xml|<!doctype", "XML text"),
)
_DICOM_JSON: Final = re.compile(rb'^\s*\[?\s*\{\s*"[0-9A-Fa-f]{8}"\s*:\s*\{')
_NETPBM: Final = re.compile(rb"P[1-7]\s")
_META_IMAGE: Final = re.compile(rb"^\s*(ObjectType|NDims)\s*=")
# The first entries that writers of documents choose (ECMA-376 part 2, ODF 1.3 part 2 section 3.3).
_OFFICE_ENTRIES: Final = re.compile(
    rb"\[Content_Types\]\.xml|_rels/|docProps/|customXml/|word/|xl/|ppt/"
)
_NIFTI_1_BYTES, _NIFTI_2_BYTES = 348, 540  # of the header, in its first field


def name_of_archive(head: bytes) -> str | None:
    """Return which archive, other than zip, a file is by its first bytes."""
    return _signed(head, _ARCHIVES) or ("a tar archive" if _is_tar(head) else None)


def name_of_format(head: bytes) -> str | None:
    """Return what a file is by its first bytes, None if unknown. It is no archive but zip."""
    return (
        name_of_document(head)
        or _volume(head)
        or _signed(head, _SIGNATURES)
        or _media(head)
        or _text(head)
    )


def name_of_document(head: bytes) -> str | None:
    """Return which document a zip archive is by its first bytes (APPNOTE 4.3.7), or None."""
    if not head.startswith(b"PK\x03\x04"):
        return None
    entry = head[30:]
    if _OFFICE_ENTRIES.match(entry):
        return "an Office document"
    if entry.startswith(b"mimetypeapplication/vnd.oasis.opendocument"):
        return "an OpenDocument file"
    return "an e-book" if entry.startswith(b"mimetypeapplication/epub") else None


def _signed(head: bytes, signatures: tuple[tuple[bytes, str], ...]) -> str | None:
    return next((name for signature, name in signatures if head.startswith(signature)), None)


def _is_tar(head: bytes) -> bool:
    """By the header's checksum, as the first archives have no magic."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _volume(head: bytes) -> str | None:
    """Return NIfTI, also within gzip, or its predecessor Analyze 7.5."""
    if head.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, 2 * _NIFTI_2_BYTES)
        except zlib.error:
            return None
    sizes = {int.from_bytes(head[:4], order) for order in ("little", "big")}
    is_nifti_1 = _NIFTI_1_BYTES in sizes and head[344:348] in (b"n+1\0", b"ni1\0")
    is_nifti_2 = _NIFTI_2_BYTES in sizes and head[4:7] in (b"n+2", b"ni2")
    if is_nifti_1 or is_nifti_2:
        return "a NIfTI image"
    return "an Analyze image" if _NIFTI_1_BYTES in sizes and len(head) >= 348 else None


def _media(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        brands = head[8 : min(int.from_bytes(head[:4], "big"), len(head))]
        named = (name for brand, name in _BRANDS if re.search(brand, brands))
        return next(named, "an MP4 video")
    if head[4:8] in (b"moov", b"mdat"):
        return "a QuickTime video"
    return _RIFF.get(head[8:12]) if head[:4] == b"RIFF" else None


def _text(head: bytes) -> str | None:
    for markup, name in _MARKUP:
        if re.search(markup, head[:1024], re.IGNORECASE):
            return name
    if _DICOM_JSON.search(head):
        return "DICOM as JSON"
    if _META_IMAGE.search(head):
        return "a MetaImage header"
    if _NETPBM.match(head):
        return "a Netpbm image"
    if re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", head):
        return None
    if re.match(rb"\s*[\[{]", head):
        return "JSON text"
    is_table = re.match(rb"[^\r\n]*[,;\t][^\r\n]*[\r\n]", head)
    return "a CSV table" if is_table else "plain text"
