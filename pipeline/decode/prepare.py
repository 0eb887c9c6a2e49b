"""Everything that one file goes through before the network sees it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.decode.decode import check_picture, decode_content
from pipeline.decode.network_input import DECODED_SIZE, network_input
from pipeline.deidentify.deidentify import Deidentified, deidentify_content
from pipeline.files.sniff import DICOM, HEAD_BYTES, PNG, read_content, sniff
from pipeline.limits import Limits
from pipeline.types import DecodedImage

_DEFAULT = Limits()


@dataclass(frozen=True)
class Prepared:
    """One file, ready for the network.

    network_input: uint8 (224, 224), 0 = black. rows, columns: as stored in the file.
    tags: the short list of attributes that is kept. warnings: plain sentences.
    deidentified: None where no key was given.
    """

    network_input: NDArray[np.uint8]
    media_type: str
    rows: int
    columns: int
    frames: int
    tags: dict[str, str]
    warnings: tuple[str, ...]
    deidentified: Deidentified | None


def prepare(path: Path, *, key: bytes | None = None, limits: Limits = _DEFAULT) -> Prepared:
    """Read, decode and shrink a file; with `key`, de-identify it too.

    Raises RefusedError with one plain clause.
    """
    content = read_content(path, limits)
    media_type = sniff(content[:HEAD_BYTES])
    if media_type == DICOM:
        return _prepare_dicom(content, key, limits)
    if key is not None and media_type == PNG:
        return _prepare_png(content, key, limits)
    image = decode_content(content, limits=limits, minimum_size=DECODED_SIZE)
    read = _read(image)
    del image  # its pixels are needed no more, and the file is taken apart once again
    if key is None:
        return read
    stored = deidentify_content(content, media_type=media_type, key=key, limits=limits)
    return replace(read, deidentified=stored)


def _prepare_png(content: bytes, key: bytes, limits: Limits) -> Prepared:
    """Stripped first: to unpack the pixels once more for the check would cost a fifth."""
    stored = deidentify_content(content, media_type=PNG, key=key, limits=limits)
    image = decode_content(content, limits=limits, is_checked=True)
    return replace(_read(image), deidentified=stored)


def _prepare_dicom(content: bytes, key: bytes | None, limits: Limits) -> Prepared:
    """The data set is parsed once for both purposes."""
    from pipeline.deidentify.dicom import deidentify_dataset
    from pipeline.dicom.dataset import read_dicom
    from pipeline.dicom.picture import decode_dataset

    dataset = read_dicom(content, limits)
    read = _read(check_picture(decode_dataset(dataset, limits), limits))
    return replace(read, deidentified=deidentify_dataset(dataset, key=key)) if key else read


def _read(image: DecodedImage) -> Prepared:
    return Prepared(
        network_input=network_input(image),
        media_type=image.media_type,
        rows=image.rows,
        columns=image.columns,
        frames=image.frames,
        tags=dict(image.tags),
        warnings=image.warnings,
        deidentified=None,
    )
