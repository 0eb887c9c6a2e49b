"""Everything that one file goes through before the network reads it."""

from dataclasses import replace
from pathlib import Path

from pipeline.decode.decode import check_image
from pipeline.decode.jpeg import decode_jpeg
from pipeline.decode.raster import decode_raster
from pipeline.deidentify.dicom import deidentify_dataset
from pipeline.deidentify.png_copy import png_copy
from pipeline.deidentify.raster import jpeg_without_metadata, png_without_metadata
from pipeline.dicom.dataset import read_dicom
from pipeline.dicom.image import decode_dataset
from pipeline.files.jpeg import read_jpeg
from pipeline.files.png import read_png
from pipeline.files.sniff import DICOM, HEAD_BYTES, JPEG, PNG, read_content, sniff
from pipeline.limits import Limits
from pipeline.prepare.network_input import DECODED_SIZE, network_input
from pipeline.pseudonym import Pseudonyms, keyed_pseudonyms
from pipeline.types import NO_LOCAL_TERMS, DecodedImage, Deidentified, LocalTerms, Prepared


def prepare(path: Path, *, key: bytes | None = None, limits: Limits = Limits()) -> Prepared:
    """Read, decode and shrink a file; with `key`, de-identify it too. Raises RefusedError."""
    pseudonyms = keyed_pseudonyms(key) if key else None
    return prepare_content(read_content(path, limits), pseudonyms=pseudonyms, limits=limits)


def prepare_content(
    content: bytes,
    *,
    pseudonyms: Pseudonyms | None,
    limits: Limits,
    local_terms: LocalTerms = NO_LOCAL_TERMS,
) -> Prepared:
    """Like `prepare`, for bytes that are in memory already."""
    media_type = sniff(content[:HEAD_BYTES])
    stored = None
    if media_type == DICOM:
        dataset = read_dicom(content, limits)  # parsed once for both purposes
        image, first = decode_dataset(dataset, limits, local_terms, minimum_size=DECODED_SIZE)
        prepared = _prepared(check_image(image, limits))
        del image  # its pixels are not needed any more
        if pseudonyms:
            stored = deidentify_dataset(dataset, first, pseudonyms=pseudonyms)
        return replace(prepared, stored=stored)
    if media_type == JPEG:
        jpeg = read_jpeg(content)  # for both purposes
        image = decode_jpeg(jpeg, limits, minimum_size=DECODED_SIZE)
        prepared = _prepared(check_image(image, limits))
        if pseudonyms:
            stored = Deidentified(jpeg_without_metadata(jpeg), JPEG)
        return replace(prepared, stored=stored)
    png = read_png(content, limits) if media_type == PNG else None
    image = decode_raster(content, media_type=media_type, limits=limits, png=png)
    prepared = _prepared(check_image(image, limits))
    if pseudonyms:
        blob = png_without_metadata(png) if png else png_copy(image)
        stored = Deidentified(blob, PNG)
    return replace(prepared, stored=stored)


def _prepared(image: DecodedImage) -> Prepared:
    return Prepared(
        network_input=network_input(image),
        rows=image.rows,
        columns=image.columns,
        tags=dict(image.tags),
        warnings=image.warnings,
        range_rule=image.range_rule,
        pixel_aspect=image.pixel_aspect,
        unknown_terms=image.unknown_terms,
    )
