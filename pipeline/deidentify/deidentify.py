"""A file without what names its patient; what is kept is listed, all else goes."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.files.sniff import DICOM, read_content
from pipeline.limits import Limits

_DEFAULT = Limits()


@dataclass(frozen=True)
class Deidentified:
    """content: the file's bytes as they may be stored. media_type: of `content`.

    study_uid_hash, patient_hash: keyed hashes (64 hexadecimal digits), None where the
    file states no such identifier. sop_instance_uid: the pseudonymous one that `content`
    carries; None for anything but DICOM.
    """

    content: bytes
    media_type: str
    study_uid_hash: str | None = None
    patient_hash: str | None = None
    sop_instance_uid: str | None = None


def deidentify(
    path: Path, *, media_type: str, key: bytes, limits: Limits = _DEFAULT
) -> Deidentified:
    """Return the file without identifying metadata; its picture stays the same.

    DICOM: Basic Application Level Confidentiality Profile (PS3.15 annex E). PNG, JPEG:
    metadata are cut out, pixels untouched. Others: written anew as PNG. Text burned into
    the pixels stays. Raises RefusedError for a damaged file.
    """
    content = read_content(path, limits)
    return deidentify_content(content, media_type=media_type, key=key, limits=limits)


def deidentify_content(
    content: bytes, *, media_type: str, key: bytes, limits: Limits = _DEFAULT
) -> Deidentified:
    """Like `deidentify`, for bytes that are in memory already."""
    if media_type == DICOM:
        from pipeline.deidentify.dicom import deidentify_dataset
        from pipeline.dicom.dataset import read_dicom

        return deidentify_dataset(read_dicom(content, limits), key=key)
    from pipeline.deidentify.raster import strip_metadata

    stripped, media_type = strip_metadata(content, media_type=media_type, limits=limits)
    return Deidentified(content=stripped, media_type=media_type)
