"""A file of any supported format to the image that a viewer shows."""

from pathlib import Path

from pipeline.files.jpeg import read_jpeg
from pipeline.files.sniff import DICOM, HEAD_BYTES, JPEG, read_content, sniff
from pipeline.limits import Limits, check_not_blank
from pipeline.types import DecodedImage


def decode(
    path: Path, *, limits: Limits = Limits(), minimum_size: int | None = None
) -> DecodedImage:
    """Decode the file's first image; its format is judged by its content.

    minimum_size: a JPEG, or JPEG 2000 in DICOM, may be returned at reduced scale, with at least
    this many pixels to a side; others are returned whole. Raises RefusedError if the file is
    damaged, unsupported, beyond `limits`, or not a frontal chest radiograph by its tags.
    """
    return decode_content(read_content(path, limits), limits=limits, minimum_size=minimum_size)


def decode_content(
    content: bytes, *, limits: Limits = Limits(), minimum_size: int | None = None
) -> DecodedImage:
    """Like `decode`, for bytes that are in memory already."""
    media_type = sniff(content[:HEAD_BYTES])
    # Imported when needed: a process that decodes only JPEG stays small.
    if media_type == DICOM:
        from pipeline.dicom.dataset import read_dicom
        from pipeline.dicom.image import decode_dataset

        dataset = read_dicom(content, limits)
        image, _ = decode_dataset(dataset, limits, minimum_size=minimum_size)
        return check_image(image, limits)
    if media_type == JPEG:
        from pipeline.decode.jpeg import decode_jpeg

        image = decode_jpeg(read_jpeg(content), limits, minimum_size=minimum_size)
    else:
        from pipeline.decode.raster import decode_raster

        image = decode_raster(content, media_type=media_type, limits=limits)
    return check_image(image, limits)


def check_image(image: DecodedImage, limits: Limits) -> DecodedImage:
    """Return `image`. Raises RefusedError if it is blank or too small."""
    check_not_blank(image.levels)
    limits.check_size(*image.levels.shape)
    return image
