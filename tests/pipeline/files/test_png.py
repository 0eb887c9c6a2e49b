"""PNG streams that hold less than they state, more than they show, or too many chunks."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.decode.decode import decode_content
from pipeline.decode.raster import decode_raster
from pipeline.deidentify.raster import png_without_metadata
from pipeline.errors import RefusalCode, RefusedError
from pipeline.files.png import SIGNATURE, read_png
from pipeline.files.png_pixels import PngPixels, pixel_bytes
from pipeline.files.sniff import PNG
from pipeline.limits import Limits
from tests.support.data.builders import encoded, make_picture, png_chunk, png_with
from tests.support.imaging.deidentified import NAME, deidentified, without_name

IMAGE = make_picture()
ROWS = b"".join(b"\0" + row.tobytes() for row in IMAGE)


def png_of(packed: bytes, *, header: bytes = b"\x08\0\0\0\0", piece: int = 2**20) -> bytes:
    sides = struct.pack(">II", IMAGE.shape[1], IMAGE.shape[0])
    bodies = [packed[at : at + piece] for at in range(0, len(packed), piece)]
    chunks = [(b"IHDR", sides + header), *((b"IDAT", body) for body in bodies), (b"IEND", b"")]
    return SIGNATURE + b"".join(png_chunk(*one) for one in chunks)


def interlaced() -> bytes:
    """Adam7 by hand: Pillow writes none."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    rows = [row for x, y, dx, dy in (*passes, (0, 1, 1, 2)) for row in IMAGE[y::dy, x::dx]]
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png_of(packed, header=b"\x08\0\0\0\1")


WHOLE = zlib.compress(ROWS)
HIDING: dict[str, bytes] = {
    "bytes after the stream": png_of(WHOLE + NAME),
    "a chunk after the stream": png_of(WHOLE).replace(
        png_chunk(b"IEND", b""), png_chunk(b"IDAT", NAME) + png_chunk(b"IEND", b"")
    ),
    "a row after the last": png_of(zlib.compress(ROWS + NAME, 0)),
    "many rows after the last": png_of(zlib.compress(ROWS + NAME * 10**6, 0)),
    "a body of the end chunk": png_of(WHOLE)[:-12] + png_chunk(b"IEND", NAME),
    "an unused palette": png_with(png_of(WHOLE), png_chunk(b"PLTE", NAME + b".")),
    "bytes after the transparent grey": png_with(
        png_of(WHOLE), png_chunk(b"tRNS", b"\x01\0" + NAME)
    ),
}


@pytest.mark.parametrize("place", HIDING)
def test_strip_png_drops_everything_but_the_image(place: str) -> None:
    without_name(HIDING[place])


@pytest.mark.parametrize("content", [png_of(WHOLE), png_of(WHOLE, piece=7), interlaced()])
def test_strip_png_keeps_a_sound_stream_unchanged(content: bytes) -> None:
    assert deidentified(content).blob == content
    np.testing.assert_array_equal(np.rint(decode_content(content).pixels * 255), IMAGE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png_of(zlib.compress(ROWS[: len(ROWS) // 2])), "cut short: expected 12384 bytes"),
        (png_of(WHOLE[:-50]), "cut short"),
        (png_of(WHOLE[:-4] + b"none"), "cannot be inflated"),
        (png_with(png_of(WHOLE), png_of(WHOLE)[8:33]), "two headers"),
        (png_with(png_of(WHOLE), *[png_chunk(b"teXt", b"")] * 50_000), "50000 chunks"),
        (png_of(WHOLE, header=b"\x08\x05\0\0\0"), "header is damaged"),
    ],
    ids=["rows", "stream", "adler", "headers", "chunks", "colour type"],
)
def test_damage_that_decoders_paint_over_is_refused(content: bytes, words: str) -> None:
    for read in (decode_content, deidentified):
        with pytest.raises(RefusedError, match=words):
            read(content)


DAMAGE: dict[str, Callable[[bytes, int], bytes]] = {
    "flipped bit": lambda png, at: png[:at] + bytes([png[at] ^ 1 << at % 8]) + png[at + 1 :],
    "cut": lambda png, at: png[:at],
    "zeroed": lambda png, at: png[:at] + bytes(min(64, len(png) - at)) + png[at + 64 :],
    "missing bytes": lambda png, at: png[:at] + png[at + 3 :],
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("level", [0, 6], ids=["stored", "compressed"])
def test_damage_anywhere_is_refused(kind: str, level: int) -> None:
    png = encoded(IMAGE, "PNG", compress_level=level)
    for at in range(len(SIGNATURE), len(png), len(png) // 60):
        damaged = DAMAGE[kind](png, at)
        with pytest.raises(RefusedError) as refusal:
            decode_content(damaged)
        assert refusal.value.reason.code in (RefusalCode.DAMAGED, RefusalCode.TOO_LARGE), at


@pytest.mark.parametrize("content", [png_of(WHOLE, piece=7), interlaced(), *HIDING.values()])
def test_pixels_are_inflated_once_for_reading_and_the_copy(content: bytes) -> None:
    png = read_png(content, Limits())
    pixels = decode_raster(content, media_type=PNG, limits=Limits(), png=png).pixels
    np.testing.assert_array_equal(np.rint(pixels * 255), IMAGE)
    assert png.pixels.read(1) == b""
    assert png_without_metadata(png) == deidentified(content).blob


@pytest.mark.parametrize("packed", [WHOLE, zlib.compress(ROWS + NAME * 10**4)])
def test_decoders_get_a_sound_stream_of_the_expected_bytes(packed: bytes) -> None:
    pixels = PngPixels([packed], len(ROWS))
    assert zlib.decompress(b"".join(iter(lambda: pixels.read(100), b""))) == ROWS


def test_what_follows_far_after_the_last_row_is_not_inflated() -> None:
    packed = zlib.compress(ROWS + NAME * 10**5, 0)
    decode_content(png_of(packed[:-4] + b"none"))


def test_no_more_is_inflated_than_the_pixels() -> None:
    content = png_of(zlib.compress(ROWS + bytes(64 * 2**20)))
    tracemalloc.start()
    decode_content(content)
    deidentified(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("kind", [b"eXIf", b"tEXt"])
def test_orientation_is_read_wherever_it_stands(kind: bytes, place: bytes) -> None:
    exif = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    if kind == b"tEXt":  # as ImageMagick writes it
        exif = b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(exif), exif.hex().encode())
    content = png_of(WHOLE, piece=100)
    at = content.index(place) - 4
    content = content[:at] + png_chunk(kind, exif) + content[at:]
    for one in (content, deidentified(content).blob):
        pixels = decode_content(one).pixels
        np.testing.assert_array_equal(np.rint(pixels * 255), np.rot90(IMAGE, -1))


def test_what_follows_the_last_row_is_checked() -> None:
    """Pillow is content with all rows; the stream's checksum follows them."""
    wrong = png_of(WHOLE[:-4] + b"none")
    with pytest.raises(RefusedError, match="cannot be inflated"):
        decode_content(wrong)


def test_unknown_filter_of_a_row_is_refused() -> None:
    with pytest.raises(RefusedError, match="damaged"):
        decode_content(png_of(zlib.compress(ROWS[:-129] + b"\x07" + ROWS[-128:])))


def test_pixel_bytes_ignores_passes_without_columns() -> None:
    assert pixel_bytes(struct.pack(">IIBBBBB", 1, 3, 4, 0, 0, 0, 1)) == 3 * 2


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"sBIT", b"\x0c"),
        (b"raNG", b"\x0cbits used"),
        (b"pHYs", struct.pack(">IIB", 3, 2, 0)),
    ],
)
def test_what_reading_needs_is_kept(kind: bytes, body: bytes) -> None:
    png = png_with(encoded(make_picture(top=65535), "PNG"), png_chunk(kind, body))
    assert png_chunk(kind, body) in deidentified(png).blob


@pytest.mark.parametrize("kind", [b"sBIT", b"raNG", b"pHYs"])
@pytest.mark.parametrize("body", [NAME, NAME[:9], b"DOE JANE\0", b"Smith, J\0"])
def test_text_in_chunks_that_are_kept_is_removed(kind: bytes, body: bytes) -> None:
    blob = deidentified(png_with(encoded(IMAGE, "PNG"), png_chunk(kind, body))).blob
    assert body[:8] not in blob
