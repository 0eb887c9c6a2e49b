"""Places besides attributes where a file may name its patient: all are cleaned."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from pipeline.decode.decode import decode_content
from pipeline.files.jpeg2000 import strip_jpeg_2000
from tests.support.data.builders import (
    encoded,
    jpeg_with,
    make_dataset,
    make_dicom,
    make_lut,
    make_picture,
    png_chunk,
    png_with,
    save_dicom,
)
from tests.support.imaging.deidentified import deidentified

NAME = b"Planted Person"
PICTURE = make_picture()


def cleaned(content: bytes) -> bytes:
    """De-identified; the picture must stay the same."""
    assert NAME in content
    result = deidentified(content).blob
    np.testing.assert_array_equal(
        decode_content(result).pixels, decode_content(content).pixels, strict=True
    )
    return result


def saved(dataset: Dataset, folder: Path) -> bytes:
    save_dicom(folder / "x.dcm", dataset)
    return (folder / "x.dcm").read_bytes()


def reframed(folder: Path, syntax: str, change: Callable[[bytes], bytes]) -> bytes:
    """A DICOM whose only frame was changed after encoding."""
    dataset = pydicom.dcmread(make_dicom(folder / "x.dcm", PICTURE, transfer_syntax=syntax))
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1).rstrip(b"\0")
    dataset.PixelData = encapsulate([change(frame)])
    dataset.save_as(folder / "x.dcm")
    return (folder / "x.dcm").read_bytes()


def commented(stream: bytes) -> bytes:
    """JPEG 2000 with a comment (T.800 A.9.2) behind its size segment."""
    end = 4 + int.from_bytes(stream[4:6], "big")
    comment = struct.pack(">HHH", 0xFF64, len(NAME) + 4, 1) + NAME
    return stream[:end] + comment + stream[end:]


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
def test_inside_encoded_frames(
    syntax: str, change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    assert NAME not in cleaned(reframed(tmp_path, syntax, change))


def test_behind_the_last_frame(tmp_path: Path) -> None:
    for syntax in (JPEGBaseline8Bit, RLELossless, JPEG2000Lossless):
        content = reframed(tmp_path, syntax, lambda frame: frame)
        dataset = pydicom.dcmread(io.BytesIO(content))
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        dataset.PixelData = encapsulate([frame, NAME])
        assert NAME not in cleaned(saved_as_is(dataset, tmp_path)), syntax


def saved_as_is(dataset: Dataset, folder: Path) -> bytes:
    dataset.save_as(folder / "x.dcm")
    return (folder / "x.dcm").read_bytes()


def test_jpeg_2000_comments_in_tile_parts() -> None:
    """Tile parts state their lengths, which stay true."""
    stream = encoded(PICTURE, "JPEG2000", no_jp2=True)
    place = stream.index(b"\xff\x93")  # start of data ends the tile part's header
    comment = struct.pack(">HHH", 0xFF64, len(NAME) + 4, 1) + NAME
    start = stream.index(b"\xff\x90")
    length = int.from_bytes(stream[start + 6 : start + 10], "big") + len(comment)
    longer = bytearray(stream[:place] + comment + stream[place:])
    longer[start + 6 : start + 10] = length.to_bytes(4, "big")
    stripped = strip_jpeg_2000(bytes(longer) + NAME)
    assert NAME not in stripped
    before, after = (np.asarray(Image.open(io.BytesIO(one))) for one in (bytes(longer), stripped))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("kind", ["unsigned", "signed", "rle"])
def test_overlays_drawn_into_unused_bits(kind: str, tmp_path: Path) -> None:
    """As devices of the nineties did: four of sixteen bits are free, the name is in the top one."""
    picture = make_picture(top=1023)
    drawn = np.zeros_like(picture)
    drawn[10:20, 10:40] = 1
    stored = (picture | drawn << 15).astype(np.uint16)
    attributes = {"PixelRepresentation": int(kind == "signed")}
    syntax = RLELossless if kind == "rle" else pydicom.uid.ExplicitVRLittleEndian
    path = make_dicom(
        tmp_path / "x.dcm", stored, bits_stored=12, transfer_syntax=syntax, **attributes
    )
    result = deidentified(path.read_bytes())
    kept = pydicom.dcmread(io.BytesIO(result.blob)).pixel_array.view(np.uint16)
    np.testing.assert_array_equal(kept, picture)


def test_padding_beyond_the_stored_bits_is_no_overlay(tmp_path: Path) -> None:
    picture = make_picture(top=1023).astype(np.uint16)
    picture[:5] = 63536
    path = make_dicom(tmp_path / "x.dcm", picture, bits_stored=10, PixelPaddingValue=63536)
    result = deidentified(path.read_bytes())
    kept = pydicom.dcmread(io.BytesIO(result.blob))
    assert kept.PixelData == picture.tobytes()
    assert kept.PixelPaddingValue == 63536


def test_meta_information_and_preamble(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", PICTURE)
    dataset = pydicom.dcmread(path)
    dataset.preamble = NAME.ljust(128, b"\0")
    dataset.file_meta.ImplementationVersionName = NAME.decode()
    dataset.file_meta.SourceApplicationEntityTitle = NAME.decode()
    dataset.file_meta.SendingApplicationEntityTitle = NAME.decode()
    dataset.file_meta.PrivateInformationCreatorUID = UID("1.2.3")
    dataset.file_meta.PrivateInformation = NAME
    assert NAME not in cleaned(saved_as_is(dataset, tmp_path))


def test_tables_and_trailing_bytes(tmp_path: Path) -> None:
    table = make_lut(np.arange(256), first=0, bits=8)
    table.LUTData += NAME
    table.LUTExplanation = NAME.decode()
    dataset = make_dataset(PICTURE, VOILUTSequence=[table], ICCProfile=NAME)
    dataset.PixelData += NAME
    dataset.DataSetTrailingPadding = NAME
    assert NAME not in cleaned(saved(dataset, tmp_path))


def test_colour_tables_stay_only_with_pictures_in_their_colours(tmp_path: Path) -> None:
    for photometric in ("MONOCHROME2", "PALETTE COLOR"):
        dataset = make_dataset(PICTURE, PhotometricInterpretation=photometric)
        dataset.ImageComments = NAME.decode()
        for colour in ("Red", "Green", "Blue"):
            keyword = f"{colour}PaletteColorLookupTable"
            entries = np.arange(256).astype("<u2") * 257
            entries[-8:] = np.frombuffer(NAME.ljust(16), "<u2") if photometric[0] == "M" else 0xFFFF
            setattr(dataset, f"{keyword}Descriptor", [256, 0, 16])
            setattr(dataset, f"{keyword}Data", entries.tobytes())
        assert NAME not in cleaned(saved(dataset, tmp_path))


def exif_with_a_thumbnail() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x013B], exif[0x9C9B] = 3, NAME, NAME, NAME
    thumbnail = jpeg_with(encoded(make_picture(40, 40), "JPEG"), marker=0xFE, body=NAME)
    # TIFF 6.0: a second directory, whose entries 0x0201 and 0x0202 name a JPEG behind it.
    first = bytearray(exif.tobytes())
    start = len(first) - 6
    entries = struct.pack("<HHHIIHHIII", 2, 0x201, 4, 1, start + 30, 0x202, 4, 1, len(thumbnail), 0)
    return bytes(first) + entries + thumbnail


def pictures() -> dict[str, bytes]:
    text = PngInfo()
    text.add_text("Patient", NAME.decode())
    text.add_itxt("Comment", NAME.decode())
    png = encoded(PICTURE, "PNG", pnginfo=text, icc_profile=NAME, exif=exif_with_a_thumbnail())
    jpeg = encoded(
        PICTURE, "JPEG", comment=NAME, exif=exif_with_a_thumbnail(), icc_profile=NAME, xmp=NAME
    )
    jfif = jpeg_with(encoded(PICTURE, "JPEG"), marker=0xE0, body=b"JFXX\0\x10" + NAME)
    tiff = encoded(
        PICTURE,
        "TIFF",
        tiffinfo={tag: NAME.decode() for tag in (270, 271, 305, 315, 33432)},
        icc_profile=NAME,
    )
    return {
        "png": png,
        "png, a chunk of our own": png_with(png, png_chunk(b"naMe", NAME)),
        "png, trailing": png + NAME,
        "jpeg": jpeg,
        "jpeg, trailing": jpeg + NAME,
        "jpeg, thumbnail of JFIF": jfif,
        "tiff": tiff,
        "tiff, trailing": tiff + NAME,
        "webp": encoded(PICTURE, "WEBP", lossless=True, exif=exif_with_a_thumbnail(), xmp=NAME),
        "bmp, trailing": encoded(PICTURE, "BMP") + NAME,
        "jpeg 2000": in_a_container(encoded(PICTURE, "JPEG2000", no_jp2=True)),
    }


@pytest.mark.parametrize("kind", pictures())
def test_pictures(kind: str) -> None:
    assert NAME not in cleaned(pictures()[kind])
