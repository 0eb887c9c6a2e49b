"""A contained decoder reads every format and character set as this process does.

What a library imports when it first needs it could not be imported there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.charset import python_encoding
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.errors import RefusedError
from pipeline.prepare.pool import DecoderPool
from pipeline.prepare.prepare import prepare
from pipeline.types import Prepared
from tests.support.data.builders import (
    LOSSLESS,
    encoded,
    make_dicom,
    make_picture,
    make_raster,
)
from tests.support.imaging.jpeg12 import encode_jpeg12
from tests.support.imaging.streams import HTJ2K_PIXELS, HTJ2K_STREAM, frame_of, written

pytestmark = pytest.mark.processes

KEY = b"key"
RASTERS: dict[str, dict[str, Any]] = {
    "x.png": {},
    "x.jpg": {},
    "x.webp": {"lossless": True},
    "x.jp2": {},
    "x.bmp": {},
    "x.tif": {},
    "lzw.tif": {"compression": "tiff_lzw"},
    "deflate.tif": {"compression": "tiff_adobe_deflate"},
    "jpeg.tif": {"compression": "jpeg"},
}
SPELLED_AS_IN_PYTHON = ("windows-1251", "koi8_r", "iso8859_15", "cp1252")


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(processes=1, timeout_s=20, key=KEY) as running:
        yield running


def assert_read_alike(pool: DecoderPool, paths: list[Path]) -> None:
    for path, answer in zip(paths, pool.prepare_all(paths), strict=True):
        assert isinstance(answer, Prepared), f"{path.name}: {answer}"
        expected = prepare(path, key=KEY)
        np.testing.assert_array_equal(answer.network_input, expected.network_input)
        assert answer.stored == expected.stored, path.name
        assert (answer.tags, answer.warnings) == (expected.tags, expected.warnings)
        assert not isinstance(pool.display(path), RefusedError)


def test_every_transfer_syntax_is_read(pool: DecoderPool, tmp_path: Path) -> None:
    syntaxes = [*LOSSLESS, JPEGBaseline8Bit]
    assert_read_alike(
        pool,
        [
            make_dicom(tmp_path / f"{number}.dcm", transfer_syntax=syntax)
            for number, syntax in enumerate(syntaxes)
        ],
    )


def test_every_kind_of_stream_is_read(pool: DecoderPool, tmp_path: Path) -> None:
    deep, grey = make_picture(top=4095), np.repeat(make_picture()[..., np.newaxis], 3, axis=-1)
    twelve_bits = encode_jpeg12(deep)
    padded = frame_of(tmp_path, make_picture(), RLELossless) + bytes(4)
    kinds = {
        "htj2k.dcm": written(encapsulate([HTJ2K_STREAM]), HTJ2KLossless, pixels=HTJ2K_PIXELS),
        "12.dcm": written(encapsulate([twelve_bits]), JPEGExtended12Bit, pixels=deep),
        "12.jpg": twelve_bits,
        "lossless.jpg": frame_of(tmp_path, deep, JPEGLosslessSV1),
        "jpeg-ls.jpg": frame_of(tmp_path, deep, JPEGLSLossless),
        "rle.dcm": written(encapsulate([padded]), RLELossless),
        "fragments.dcm": written(encapsulate([make_picture().tobytes()]), ExplicitVRLittleEndian),
        "colours.dcm": written(encapsulate([encoded(grey, "JPEG")]), JPEGBaseline8Bit, pixels=grey),
        "grey.dcm": written(encapsulate([encoded(grey, "JPEG")]), JPEGBaseline8Bit),
    }
    for name, content in kinds.items():
        (tmp_path / name).write_bytes(content)
    assert_read_alike(pool, [tmp_path / name for name in kinds])


def test_every_raster_format_is_read(pool: DecoderPool, tmp_path: Path) -> None:
    paths = [make_raster(tmp_path / name, **options) for name, options in RASTERS.items()]
    deep = make_picture(top=65535)
    paths.append(make_raster(tmp_path / "deep.png", deep))
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"):
        path = tmp_path / f"deep-{compression}.tif"
        paths.append(make_raster(path, deep, compression=compression))
    floats = (deep / 65535).astype(np.float32)
    paths.append(make_raster(tmp_path / "float.tif", floats, compression="tiff_lzw"))
    assert_read_alike(pool, paths)


def test_identifiers_in_every_character_set_are_hashed_alike(
    pool: DecoderPool, tmp_path: Path
) -> None:
    """Else one patient would become two. The bytes mean other letters in each set."""
    paths = []
    for number, name in enumerate([*filter(None, python_encoding), *SPELLED_AS_IN_PYTHON]):
        path = tmp_path / f"{number}.dcm"
        make_dicom(path, PatientID="PLACEHOLDER!", SpecificCharacterSet=name)
        path.write_bytes(path.read_bytes().replace(b"PLACEHOLDER!", b"\xb1\xe8\xc8\xf1" * 3))
        paths.append(path)
    assert_read_alike(pool, paths)
