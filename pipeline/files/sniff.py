"""A file's media type by its content, its bytes within bounds, and files to ignore by name."""

import os
from pathlib import Path, PurePosixPath

from pipeline.errors import RefusalCode, RefusedError, bad_archive, not_an_image
from pipeline.files.formats import name_of_archive, name_of_format
from pipeline.limits import Limits

DICOM = "application/dicom"
PNG = "image/png"
JPEG = "image/jpeg"
TIFF = "image/tiff"
BMP = "image/bmp"
WEBP = "image/webp"
JPEG2000 = "image/jp2"

HEAD_BYTES = 2048

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),  # BigTIFF
    (b"MM\x00+", TIFF),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", JPEG2000),
    (b"\xff\x4f\xff\x51", JPEG2000),  # bare codestream
)

_PREFIX = 128  # the preamble's length in bytes, PS3.10 7.1


def sniff(head: bytes) -> str:
    """Return the media type of a file from its first `HEAD_BYTES` bytes.

    Raises RefusedError for empty files and unsupported formats.
    """
    if not head:
        raise not_an_image("the file is empty")
    if head[_PREFIX : _PREFIX + 4] == b"DICM":
        return DICOM
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:2] == b"BM" and head[6:10] == b"\x00\x00\x00\x00":
        return BMP
    if _is_bare_dicom(head):
        return DICOM
    name = name_of_format(head)
    if not name and (archive := name_of_archive(head)):
        raise bad_archive(f"received {archive}: send its files, or pack them as a zip archive")
    if name:
        raise not_an_image(f"expected a radiograph as DICOM, PNG, JPEG or TIFF, received {name}")
    raise not_an_image("the content is neither DICOM, PNG, JPEG nor TIFF")


def _is_bare_dicom(head: bytes) -> bool:
    """Whether a data set begins at once, without preamble and perhaps meta information.

    Old archives contain such files. The first element is in group 0002 or 0008 (PS3.6) and
    short.
    """
    if len(head) < 16 or head[:2] not in (b"\x02\x00", b"\x08\x00"):
        return False
    if head[4:6].isalpha() and head[4:6].isupper():  # explicit VR
        return True
    return int.from_bytes(head[4:8], "little") < 1024  # implicit VR


def read_content(path: Path, limits: Limits) -> bytes:
    """Return the whole file. Raises RefusedError if it is too large or cannot be read."""
    try:
        with path.open("rb") as file:
            # Not more than its size: Python allocates as much as is asked for.
            size = os.fstat(file.fileno()).st_size
            content = file.read(min(size, limits.max_bytes) + 1)
    except OSError as error:
        raise RefusedError(
            RefusalCode.OTHER, f"the file cannot be read: {error.strerror}"
        ) from None
    limits.check_bytes(len(content))
    return content


# Left by operating systems and viewers. A DICOMDIR is an index; its images are separate files.
_NAMES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "dicomdir"})
_FOLDERS = frozenset({"__macosx", "@eadir", ".git"})


def is_junk(name: str) -> bool:
    """Whether a path names a file to ignore, in any case; backslashes count as separators."""
    *folders, last = PurePosixPath(name.replace("\\", "/").lower()).parts or ("",)
    return last in _NAMES | _FOLDERS or last.startswith("._") or not _FOLDERS.isdisjoint(folders)
