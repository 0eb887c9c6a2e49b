"""Everything that one file goes through before the network reads it."""

from dataclasses import replace
from pathlib import Path

from pipeline.decode.decode import check_image
from pipeline.decode.raster import decode_raster
from pipeline.deidentify.dicom import deidentify_dataset
from pipeline.deidentify.raster import strip_metadata
from pipeline.dicom.dataset import read_dicom
from pipeline.dicom.image import decode_dataset
from pipeline.files.sniff import DICOM, HEAD_BYTES, PNG, read_content, sniff
from pipeline.limits import Limits
from pipeline.prepare.network_input import DECODED_SIZE, network_input
from pipeline.types import DecodedImage, Deidentified, Prepared

_DEFAULT = Limits()


def prepare(path: Path, *, key: bytes | None = None, limits: Limits = _DEFAULT) -> Prepared:
    """Read, decode and shrink a file; with `key`, de-identify it too. Raises RefusedError."""
    content = read_content(path, limits)
    media_type = sniff(content[:HEAD_BYTES])
    if media_type == DICOM:
        dataset = read_dicom(content, limits)  # parsed once for both purposes
        image = check_image(decode_dataset(dataset, limits), limits)
        return _prepared(image, deidentify_dataset(dataset, key=key) if key else None)
    if media_type == PNG and key:
        # Stripped first, which checks the pixels' stream: unpacking it again would cost a fifth.
        stored = strip_metadata(content, media_type=PNG, limits=limits)
        image = decode_raster(content, media_type=PNG, limits=limits, is_checked=True)
        return _prepared(check_image(image, limits), stored)
    image = decode_raster(content, media_type=media_type, limits=limits, minimum_size=DECODED_SIZE)
    prepared = _prepared(check_image(image, limits), None)
    del image  # its pixels are not needed any more, and the file is decoded once again below
    if not key:
        return prepared
    stored = strip_metadata(content, media_type=media_type, limits=limits)
    return replace(prepared, **vars(stored))


def _prepared(image: DecodedImage, stored: Deidentified | None) -> Prepared:
    prepared = Prepared(
        network_input=network_input(image),
        rows=image.rows,
        columns=image.columns,
        tags=dict(image.tags),
        warnings=image.warnings,
        media_type=image.media_type,
    )
    return replace(prepared, **vars(stored)) if stored else prepared
