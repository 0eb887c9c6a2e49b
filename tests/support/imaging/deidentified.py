"""De-identified files as they would be stored."""

import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from pipeline.decode.decode import decode_content
from pipeline.deidentify.dicom import deidentify_dataset
from pipeline.deidentify.png_copy import png_copy
from pipeline.deidentify.raster import jpeg_without_metadata, png_without_metadata
from pipeline.dicom.dataset import read_dicom
from pipeline.dicom.image import first_frame
from pipeline.files.jpeg import read_jpeg
from pipeline.files.png import read_png
from pipeline.files.sniff import DICOM, HEAD_BYTES, JPEG, PNG, sniff
from pipeline.limits import Limits
from pipeline.pseudonym import keyed_pseudonyms
from pipeline.types import Deidentified

KEY = b"an invented key"
NAME = b"Planted Person"


def deidentified(content: bytes, *, key: bytes = KEY, limits: Limits = Limits()) -> Deidentified:
    """Without reading the tags of view and part, so that all kinds of images pass."""
    media_type = sniff(content[:HEAD_BYTES])
    if media_type == DICOM:
        dataset = read_dicom(content, limits)
        first = first_frame(dataset, limits)
        return deidentify_dataset(dataset, first, pseudonyms=keyed_pseudonyms(key))
    if media_type == JPEG:
        return Deidentified(jpeg_without_metadata(read_jpeg(content)), JPEG)
    if media_type == PNG:
        return Deidentified(png_without_metadata(read_png(content, limits)), PNG)
    return Deidentified(png_copy(decode_content(content, limits=limits)), PNG)


def deidentified_dataset(content: bytes, *, key: bytes = KEY) -> Dataset:
    """Read the data set of a DICOM file as it would be stored."""
    return pydicom.dcmread(io.BytesIO(deidentified(content, key=key).blob))


def without_name(content: bytes) -> Deidentified:
    """De-identify a file that contains NAME: it must go, and the pixels stay the same."""
    assert NAME in content
    result = deidentified(content)
    assert NAME not in result.blob
    before, after = (decode_content(one).pixels for one in (content, result.blob))
    np.testing.assert_array_equal(after, before, strict=True)
    return result
