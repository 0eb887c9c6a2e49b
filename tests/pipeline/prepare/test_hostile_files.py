"""Hostile files are refused with the right code, in time, and within bounds of memory."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLosslessSV1

from pipeline.errors import RefusalCode, RefusedError
from pipeline.limits import Limits
from pipeline.prepare.pool import DecoderPool
from pipeline.prepare.process import MEMORY_BYTES
from pipeline.types import Prepared
from tests.support.data.builders import (
    encoded,
    make_dicom,
    make_jpeg,
    make_picture,
    make_png,
    png_chunk,
    png_with,
)
from tests.support.imaging.decoding import WITHIN_S, answer_to, most_memory
from tests.support.imaging.streams import frame_of

pytestmark = pytest.mark.processes

IMAGE = make_picture()


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(processes=1, timeout_s=WITHIN_S, key=b"key") as running:
        list(running.prepare_all([Path("/nothing")]))  # wait until it has started
        yield running


def refusal_of(pool: DecoderPool, path: Path) -> RefusedError:
    answer = answer_to(pool, path)
    assert isinstance(answer, RefusedError), path.name
    assert "unexpected" not in str(answer)
    assert path.stem not in str(answer)
    return answer


def jpeg_stating(rows: int, columns: int) -> bytes:
    jpeg = bytearray(encoded(IMAGE, "JPEG"))
    start = jpeg.index(b"\xff\xc0") + 5
    jpeg[start : start + 4] = struct.pack(">HH", rows, columns)
    return bytes(jpeg)


def tiff_stating(rows: int) -> bytes:
    tiff = bytearray(encoded(IMAGE, "TIFF"))
    entry = tiff.index(struct.pack("<H", 257), int.from_bytes(tiff[4:8], "little"))  # ImageLength
    tiff[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, rows)
    return bytes(tiff)


def text_bomb() -> bytes:
    packed = zlib.compress(bytes(200_000_000), 1)
    return png_with(encoded(IMAGE, "PNG"), png_chunk(b"zTXt", b"Patient\0\0" + packed))


BOMBS: dict[str, Callable[[Path], bytes]] = {
    "png": lambda _: encoded(np.zeros((8_100, 8_100), np.uint8), "PNG"),
    "jpeg": lambda _: jpeg_stating(65_500, 65_500),
    "tiff": lambda _: tiff_stating(2**31),
    "bmp": lambda _: (
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 9**9, 9**9, 1, 8, *[0] * 6)
    ),
    "deflated dicom": lambda folder: make_dicom(
        folder / "x",
        np.zeros((5000, 5000), np.uint16),
        transfer_syntax=DeflatedExplicitVRLittleEndian,
    ).read_bytes(),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_decompression_bombs_are_refused(kind: str, pool: DecoderPool, tmp_path: Path) -> None:
    path = tmp_path / "a-bomb"
    path.write_bytes(BOMBS[kind](tmp_path))
    assert path.stat().st_size < 500_000
    blank = kind == "deflated dicom"  # of an allowed size, but every pixel is 0
    expected = RefusalCode.NOT_FRONTAL_CHEST if blank else RefusalCode.TOO_LARGE
    assert refusal_of(pool, path).reason.code == expected


def test_compressed_text_of_a_png_is_not_inflated(pool: DecoderPool, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(text_bomb())
    answer = answer_to(pool, path)
    assert isinstance(answer, (Prepared, RefusedError))
    assert "unexpected" not in str(answer)


def test_image_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    """48 million pixels in colours of 16 bits."""
    blank = np.zeros((40, 40, 3), np.uint16)
    path = make_dicom(tmp_path / "x.dcm", blank, Rows=8000, Columns=6000, PixelData=b"")
    length = 8000 * 6000 * 6
    with path.open("r+b") as file:  # mostly a hole
        file.seek(-4, io.SEEK_END)
        file.write(length.to_bytes(4, "little"))
        file.write(b"\x77")
        file.truncate(file.tell() - 1 + length)
    good = make_png(tmp_path / "good.png")
    with DecoderPool(processes=1, timeout_s=60, limits=Limits(max_bytes=10**9)) as pool:
        before = pool.process_ids()
        refused, read = pool.prepare_all([path, good])
        assert pool.process_ids() == before, "the process was killed"
        assert most_memory(pool) < MEMORY_BYTES
    assert "too much memory" in str(refused)
    assert isinstance(read, Prepared)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x89PNG\r\n\x1a\n", RefusalCode.DAMAGED),
        (bytes(128) + b"DICM", RefusalCode.DAMAGED),
        (b"", RefusalCode.NOT_AN_IMAGE),
        (b"<html><script>alert(1)</script>", RefusalCode.NOT_AN_IMAGE),
    ],
)
def test_other_files_are_refused_whatever_their_name(
    content: bytes, code: RefusalCode, pool: DecoderPool, tmp_path: Path
) -> None:
    for name in ("a-name.png", "a-name.dcm", "a-name.jpg"):
        (tmp_path / name).write_bytes(content)
        assert refusal_of(pool, tmp_path / name).reason.code == code


@pytest.mark.parametrize("make", [make_png, make_jpeg, make_dicom])
def test_extensions_do_not_matter(
    make: Callable[[Path], Path], pool: DecoderPool, tmp_path: Path
) -> None:
    for name in ("x.dcm", "x.png", "x", "x.JPEG", "x.exe"):
        path = make(tmp_path / "written").rename(tmp_path / name)
        assert isinstance(answer_to(pool, path), Prepared)


def test_lossless_jpeg_that_takes_too_much_memory_is_refused(
    pool: DecoderPool, tmp_path: Path
) -> None:
    """GDCM aborts where it gets no memory, so it must not be asked."""
    colours = np.stack([make_picture(top=65535)] * 3, axis=-1)
    jpeg = bytearray(frame_of(tmp_path, colours, JPEGLosslessSV1))
    start = jpeg.index(b"\xff\xc3") + 5
    jpeg[start : start + 4] = struct.pack(">HH", 8000, 7900)
    path = tmp_path / "x.jpg"
    path.write_bytes(jpeg)
    assert "too much memory" in str(refusal_of(pool, path))
