"""PNG and JPEG streams that hold less than they say, more than they show, or too many parts."""

import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.decode.decode import decode_content
from pipeline.errors import RefusedError
from pipeline.files.png import SIGNATURE, read_header
from pipeline.limits import Limits
from tests.support.data.builders import encoded, jpeg_with, make_picture, png_chunk, png_with
from tests.support.imaging.deidentified import deidentified

PICTURE = make_picture()
ROWS = b"".join(b"\0" + row.tobytes() for row in PICTURE)
NAME = b"Planted Person"


def png_of(packed: bytes, *, header: bytes = b"\x08\0\0\0\0", piece: int = 2**20) -> bytes:
    sides = struct.pack(">II", PICTURE.shape[1], PICTURE.shape[0])
    bodies = [packed[at : at + piece] for at in range(0, len(packed), piece)]
    chunks = [(b"IHDR", sides + header), *((b"IDAT", body) for body in bodies), (b"IEND", b"")]
    return SIGNATURE + b"".join(png_chunk(*one) for one in chunks)


def interlaced() -> bytes:
    """Adam7 by hand: Pillow writes none."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    rows = [row for x, y, dx, dy in (*passes, (0, 1, 1, 2)) for row in PICTURE[y::dy, x::dx]]
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png_of(packed, header=b"\x08\0\0\0\1")


WHOLE = zlib.compress(ROWS)
HIDING: dict[str, bytes] = {
    "behind the stream": png_of(WHOLE + NAME),
    "behind the stream, a chunk of its own": png_of(WHOLE).replace(
        png_chunk(b"IEND", b""), png_chunk(b"IDAT", NAME) + png_chunk(b"IEND", b"")
    ),
    "behind the last row": png_of(zlib.compress(ROWS + NAME, 0)),
    "behind the last row, without end": png_of(zlib.compress(ROWS + NAME * 10**6, 0)),
    "in the end chunk": png_of(WHOLE)[:-12] + png_chunk(b"IEND", NAME),
    "in a palette that nobody needs": png_with(png_of(WHOLE), png_chunk(b"PLTE", NAME + b".")),
    "behind the transparent grey": png_with(png_of(WHOLE), png_chunk(b"tRNS", b"\x01\0" + NAME)),
}


@pytest.mark.parametrize("place", HIDING)
def test_nothing_but_the_picture_is_kept_of_a_png(place: str) -> None:
    content = HIDING[place]
    assert NAME in content
    stored = deidentified(content).blob
    assert NAME not in stored
    np.testing.assert_array_equal(decode_content(stored).pixels, decode_content(content).pixels)


@pytest.mark.parametrize("content", [png_of(WHOLE), png_of(WHOLE, piece=7), interlaced()])
def test_a_sound_stream_is_kept_as_it_is(content: bytes) -> None:
    assert deidentified(content).blob == content
    np.testing.assert_array_equal(np.rint(decode_content(content).pixels * 255), PICTURE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png_of(zlib.compress(ROWS[: len(ROWS) // 2])), "cut short: expected 12384 bytes"),
        (png_of(WHOLE[:-50]), "cut short"),
        (png_of(zlib.compress(ROWS[:-129] + b"\x07" + ROWS[-128:])), "a row's filter"),
        (png_with(png_of(WHOLE), png_of(WHOLE)[8:33]), "two headers"),
        (png_with(png_of(WHOLE), *[png_chunk(b"teXt", b"")] * 50_000), "50000 chunks"),
        (png_of(WHOLE, header=b"\x08\x05\0\0\0"), "header is damaged"),
    ],
    ids=["rows", "stream", "filter", "headers", "chunks", "colour type"],
)
def test_png_that_is_not_whole(content: bytes, words: str) -> None:
    """Decoders fill up with black what is missing, and say nothing."""
    for look in (decode_content, deidentified):
        with pytest.raises(RefusedError, match=words):
            look(content)


def test_bytes_that_pixels_take() -> None:
    """By the specification's own numbers: passes without a column have no rows."""
    tiny = struct.pack(">IIBBBBB", 1, 3, 4, 0, 0, 0, 1)
    header = read_header(SIGNATURE + png_chunk(b"IHDR", tiny))
    assert header.pixel_bytes() == 3 * 2


def with_scans(count: int) -> bytes:
    jpeg = encoded(PICTURE, "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * count + jpeg[-2:]


PARTS: dict[str, Callable[[], bytes]] = {
    "scans": lambda: with_scans(20_000 // 8),
    "segments": lambda: encoded(PICTURE, "JPEG")[:2] + b"\xff\xe5\0\2" * 10**6 + b"\xff\xd9",
}


@pytest.mark.parametrize("kind", PARTS)
def test_jpeg_in_too_many_parts(kind: str) -> None:
    content, began_s = PARTS[kind](), time.process_time()
    with pytest.raises(RefusedError, match=kind):
        decode_content(content)
    assert time.process_time() - began_s < 1


def test_scans_are_bounded_with_the_size() -> None:
    decode_content(with_scans(30))
    with pytest.raises(RefusedError, match="scans"):
        decode_content(with_scans(30), limits=Limits(max_pixels=PICTURE.size))


@pytest.mark.parametrize("marker", [0xDC, 0xF0, 0xBF])
def test_segments_that_no_picture_needs(marker: int) -> None:
    """Decoders pass over some of them."""
    content = jpeg_with(encoded(PICTURE, "JPEG"), marker=marker, body=NAME)
    assert NAME not in deidentified(content).blob
