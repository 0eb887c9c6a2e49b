"""Pixel Data: names within frames, after them and in unused bits are removed, pixels stay."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.decode.decode import decode, decode_content
from pipeline.files.jpeg2000 import strip_jpeg_2000
from tests.support.data.builders import change_frame, encoded, jpeg_with, make_dicom, make_picture
from tests.support.imaging.deidentified import (
    NAME,
    deidentified,
    deidentified_dataset,
    without_name,
)

COMMENT = struct.pack(">HHH", 0xFF64, len(NAME) + 4, 1) + NAME  # of JPEG 2000, T.800 A.9.2
IMAGE = make_picture()
DEEP = make_picture(top=1023)
OVERLAID = DEEP.copy()
OVERLAID[10:20, 10:40] |= 0x8000
LOSSLESS = [JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless]


def reframed(folder: Path, syntax: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return a DICOM file whose only frame was changed after encoding."""
    path = make_dicom(folder / "x.dcm", IMAGE, transfer_syntax=syntax)
    return change_frame(path, change).read_bytes()


def commented(stream: bytes) -> bytes:
    """JPEG 2000 with a comment after its size segment."""
    end = 4 + int.from_bytes(stream[4:6], "big")
    return stream[:end] + COMMENT + stream[end:]


def in_a_container(stream: bytes) -> bytes:
    boxed = io.BytesIO()
    Image.open(io.BytesIO(stream)).save(boxed, "JPEG2000", irreversible=False)
    box = struct.pack(">I4s", 8 + len(NAME), b"xml ") + NAME
    head = 12 + 20  # signature and file type come first
    return boxed.getvalue()[:head] + box + boxed.getvalue()[head:]


@pytest.mark.parametrize(
    ("syntax", "change"),
    [
        (JPEGBaseline8Bit, lambda jpeg: jpeg_with(jpeg, marker=0xFE, body=NAME)),
        (JPEGBaseline8Bit, lambda jpeg: jpeg_with(jpeg, marker=0xE1, body=b"Exif\0\0" + NAME)),
        (JPEGBaseline8Bit, lambda jpeg: jpeg_with(jpeg, marker=0xE2, body=b"ICC_PROFILE\0" + NAME)),
        (JPEGBaseline8Bit, lambda jpeg: jpeg + NAME),
        (JPEGLSLossless, lambda jpeg: jpeg_with(jpeg, marker=0xFE, body=NAME)),
        (JPEG2000Lossless, commented),
        (JPEG2000Lossless, in_a_container),
        (RLELossless, lambda rle: rle + NAME),
    ],
    ids=["comment", "exif", "icc", "trailing", "jpeg-ls", "jpeg-2000", "container", "rle"],
)
def test_names_within_encoded_frames_are_removed(
    syntax: str, change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    without_name(reframed(tmp_path, syntax, change))


def test_names_after_the_last_frame_are_removed(tmp_path: Path) -> None:
    for syntax in (JPEGBaseline8Bit, RLELossless, JPEG2000Lossless):
        content = reframed(tmp_path, syntax, lambda frame: frame)
        dataset = pydicom.dcmread(io.BytesIO(content))
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        dataset.PixelData = encapsulate([frame, NAME])
        dataset.save_as(tmp_path / "x.dcm")
        without_name((tmp_path / "x.dcm").read_bytes())


def test_strip_jpeg_2000_keeps_the_lengths_of_tile_parts() -> None:
    stream = encoded(IMAGE, "JPEG2000", no_jp2=True)
    place = stream.index(b"\xff\x93")  # start of data ends the tile part's header
    start = stream.index(b"\xff\x90")
    length = int.from_bytes(stream[start + 6 : start + 10], "big") + len(COMMENT)
    longer = bytearray(stream[:place] + COMMENT + stream[place:])
    longer[start + 6 : start + 10] = length.to_bytes(4, "big")
    stripped = strip_jpeg_2000(bytes(longer) + NAME)
    assert NAME not in stripped
    before, after = (np.asarray(Image.open(io.BytesIO(one))) for one in (bytes(longer), stripped))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("kind", ["unsigned", "signed", "rle"])
def test_overlays_in_unused_bits_are_removed(kind: str, tmp_path: Path) -> None:
    """Old devices drew so: four of sixteen bits are unused, the top one has the overlay."""
    path = make_dicom(
        tmp_path / "x.dcm",
        OVERLAID,
        bits_stored=12,
        transfer_syntax=RLELossless if kind == "rle" else ExplicitVRLittleEndian,
        PixelRepresentation=int(kind == "signed"),
    )
    kept = deidentified_dataset(path.read_bytes()).pixel_array.view(np.uint16)
    np.testing.assert_array_equal(kept, DEEP)


def test_padding_beyond_the_stored_bits_is_kept(tmp_path: Path) -> None:
    picture = DEEP.copy()
    picture[:5] = 63536
    path = make_dicom(tmp_path / "x.dcm", picture, bits_stored=10, PixelPaddingValue=63536)
    kept = deidentified_dataset(path.read_bytes())
    assert kept.PixelData == picture.tobytes()
    assert kept.PixelPaddingValue == 63536


def of_ten_bits(path: Path, pixels: NDArray[Any], syntax: str, *, signed: bool = False) -> Path:
    """Encode all of sixteen bits, of which the tags state ten as stored."""
    make_dicom(path, pixels, transfer_syntax=syntax)
    dataset = pydicom.dcmread(path)
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 10, 9, int(signed)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_overlay_in_lossless_stream_is_neither_decoded_nor_stored(
    syntax: str, tmp_path: Path
) -> None:
    path = of_ten_bits(tmp_path / "x.dcm", OVERLAID, syntax)
    np.testing.assert_allclose(decode(path).pixels, DEEP / 1023, atol=1e-6)
    kept = deidentified_dataset(path.read_bytes())
    assert kept.file_meta.TransferSyntaxUID == RLELossless
    np.testing.assert_array_equal(kept.pixel_array, DEEP)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_stream_without_overlay_keeps_its_encoding(
    syntax: str, signed: bool, tmp_path: Path
) -> None:
    """Sign extension is not an overlay."""
    values = (DEEP.astype(np.int16) - 512).view(np.uint16) if signed else DEEP
    path = of_ten_bits(tmp_path / "x.dcm", values, syntax, signed=signed)
    blob = deidentified(path.read_bytes()).blob
    assert pydicom.dcmread(io.BytesIO(blob)).file_meta.TransferSyntaxUID == syntax
    for found in (decode(path), decode_content(blob)):
        np.testing.assert_allclose(found.pixels, DEEP / 1023, atol=1e-6)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, *LOSSLESS])
@pytest.mark.parametrize(
    ("factor", "window", "stored", "top"),
    [(1.3, None, 10, 1023), (1.3, 1400, 11, 1400), (16, None, 14, 16383)],
    ids=["saturated", "of a window", "of other bits"],
)
def test_values_above_the_bits_stored_are_kept(
    factor: float, window: int | None, stored: int, top: int, syntax: str, tmp_path: Path
) -> None:
    film = (DEEP * factor).astype(np.uint16)
    path = of_ten_bits(tmp_path / "x.dcm", film, syntax)
    if window:
        dataset = pydicom.dcmread(path)
        dataset.WindowCenter, dataset.WindowWidth = window / 2, window
        dataset.VOILUTFunction = "LINEAR_EXACT"
        dataset.save_as(path)
    pixels = decode(path).pixels
    np.testing.assert_allclose(pixels, np.minimum(film, top) / top, atol=1e-6)
    kept = deidentified_dataset(path.read_bytes())
    assert (kept.BitsStored, kept.HighBit) == (stored, stored - 1)
    kept.BitsStored, kept.HighBit = 16, 15  # pydicom and GDCM clear the others
    np.testing.assert_array_equal(kept.pixel_array, film)
    path.write_bytes(deidentified(path.read_bytes()).blob)
    np.testing.assert_array_equal(decode(path).pixels, pixels)


@pytest.mark.parametrize("bit", [0, 0x4000])
def test_colours_above_the_bits_stored_are_kept_without_overlays(bit: int, tmp_path: Path) -> None:
    film = np.stack([(DEEP * 1.3).astype(np.uint16)] * 3, axis=-1)
    overlaid = film.copy()
    overlaid[10:20, 10:40] |= np.uint16(bit)
    path = of_ten_bits(tmp_path / "x.dcm", overlaid, ExplicitVRLittleEndian)
    expected = np.minimum(film[..., 0] / 1023, 1)
    np.testing.assert_allclose(decode(path).pixels, expected, atol=1e-5)
    kept = deidentified_dataset(path.read_bytes())
    assert kept.PixelData == film.tobytes()
    path.write_bytes(deidentified(path.read_bytes()).blob)
    np.testing.assert_allclose(decode(path).pixels, expected, atol=1e-5)


def test_lossy_values_above_the_bits_stored_are_white(tmp_path: Path) -> None:
    path = of_ten_bits(tmp_path / "x.dcm", DEEP + np.uint16(8), JPEG2000Lossless)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEG2000
    dataset.save_as(path)
    white = DEEP > 1023 - 8
    assert white.any()
    assert (decode(path).pixels[white] == 1).all()
