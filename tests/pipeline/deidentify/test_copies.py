"""Every stored copy is read like its source: the same pixels, by the same rules.

Films are made in all encodings and with all attributes that decide on grey levels.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.decode.decode import decode_content
from pipeline.types import Deidentified
from tests.support.data.builders import make_dataset, make_picture
from tests.support.imaging.deidentified import deidentified
from tests.support.imaging.encodings import NATIVE, RLE, STREAMS

SHAPE = (41, 43)  # odd, so that frames of bytes have an odd length
EVEN = (40, 44)  # for GDCM, which encodes no others


def assert_read_alike(content: bytes) -> Deidentified:
    stored = deidentified(content)
    source, copy = (decode_content(one) for one in (content, stored.blob))
    np.testing.assert_array_equal(copy.pixels, source.pixels, strict=True)
    assert (copy.rows, copy.columns, copy.frames) == (source.rows, source.columns, source.frames)
    assert copy.warnings == source.warnings
    return stored


def samples(kind: str, shape: tuple[int, int] = SHAPE) -> NDArray[Any]:
    """Return a picture of integers by numpy's type, from the least to the greatest value."""
    picture = make_picture(*shape, top=65535)
    bits = 8 * np.dtype(kind).itemsize
    values = picture.astype(np.int64) * (2**bits - 1) // 65535
    return (values - 2 ** (bits - 1) * (kind[0] == "i")).astype(kind)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("encoding", NATIVE)
def test_native_samples(encoding: str, frames: int, kind: str, tmp_path: Path) -> None:
    pixels = samples(kind)
    stack = np.stack([np.roll(pixels, index) for index in range(frames)])
    content = NATIVE[encoding](make_dataset(stack[0] if frames == 1 else stack), tmp_path)
    copy = pydicom.dcmread(io.BytesIO(assert_read_alike(content).blob))
    assert copy.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    np.testing.assert_array_equal(copy.pixel_array, np.squeeze(stack))


@pytest.mark.parametrize(
    ("kind", "frames"), [("u1", 1), ("u1", 2), ("u2", 1), ("u2", 2), ("i2", 1)]
)
@pytest.mark.parametrize("encoding", RLE | STREAMS)
def test_coded_samples(encoding: str, frames: int, kind: str, tmp_path: Path) -> None:
    pixels = samples(kind, EVEN)
    stack = np.stack([np.roll(pixels, index) for index in range(frames)])
    encode = (RLE | STREAMS)[encoding]
    content = encode(make_dataset(stack[0] if frames == 1 else stack), tmp_path)
    copy = pydicom.dcmread(io.BytesIO(assert_read_alike(content).blob))
    source = pydicom.dcmread(io.BytesIO(content))
    assert copy.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
    np.testing.assert_array_equal(copy.pixel_array, source.pixel_array)
