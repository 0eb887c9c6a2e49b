"""Images other than DICOM: metadata are removed, pixels and orientation stay."""

import struct

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.files.sniff import HEAD_BYTES, sniff
from tests.support.data.builders import encoded, jpeg_with, make_picture, png_chunk, png_with
from tests.support.imaging.deidentified import NAME, deidentified, without_name

IMAGE = make_picture()


def exif_with_a_thumbnail() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x013B], exif[0x9C9B] = 3, NAME, NAME, NAME
    thumbnail = jpeg_with(encoded(make_picture(40, 40), "JPEG"), marker=0xFE, body=NAME)
    # TIFF 6.0: a second directory, whose entries 0x0201 and 0x0202 state a JPEG after it.
    first = bytearray(exif.tobytes())
    start = len(first) - 6
    entries = struct.pack("<HHHIIHHIII", 2, 0x201, 4, 1, start + 30, 0x202, 4, 1, len(thumbnail), 0)
    return bytes(first) + entries + thumbnail


def images_with_metadata() -> dict[str, bytes]:
    text = PngInfo()
    text.add_text("Patient", NAME.decode())
    text.add_itxt("Comment", NAME.decode())
    png = encoded(IMAGE, "PNG", pnginfo=text, icc_profile=NAME, exif=exif_with_a_thumbnail())
    jpeg = encoded(
        IMAGE, "JPEG", comment=NAME, exif=exif_with_a_thumbnail(), icc_profile=NAME, xmp=NAME
    )
    jfxx = jpeg_with(encoded(IMAGE, "JPEG"), marker=0xE0, body=b"JFXX\0\x10" + NAME)
    # JFIF 1.02: version, no unit, densities, size of an RGB thumbnail, which follows.
    width = -(-len(NAME) // 3)
    head = b"JFIF\0" + struct.pack(">HBHHBB", 0x102, 0, 1, 1, width, 1)
    body = head + NAME.ljust(3 * width)
    jfif = jpeg_with(encoded(IMAGE, "JPEG"), marker=0xE0, body=body)
    tiff = encoded(
        IMAGE,
        "TIFF",
        tiffinfo={tag: NAME.decode() for tag in (270, 271, 305, 315, 33432)},
        icc_profile=NAME,
    )
    return {
        "png": png,
        "png, private chunk": png_with(png, png_chunk(b"naMe", NAME)),
        "png, trailing": png + NAME,
        "jpeg": jpeg,
        "jpeg, trailing": jpeg + NAME,
        "jpeg, JFIF thumbnail": jfif,
        "jpeg, JFXX thumbnail": jfxx,
        "tiff": tiff,
        "tiff, trailing": tiff + NAME,
        "webp": encoded(IMAGE, "WEBP", lossless=True, exif=exif_with_a_thumbnail(), xmp=NAME),
        "bmp, trailing": encoded(IMAGE, "BMP") + NAME,
        "png, palette": encoded(IMAGE, "PNG", mode="P", pnginfo=text, transparency=0),
        "jpeg, cmyk": encoded(
            IMAGE, "JPEG", mode="CMYK", exif=exif_with_a_thumbnail(), icc_profile=NAME
        ),
        "jpeg, colours": encoded(
            IMAGE, "JPEG", mode="RGB", exif=exif_with_a_thumbnail(), icc_profile=NAME
        ),
        "jpeg, progressive": encoded(IMAGE, "JPEG", progressive=True, xmp=NAME),
        "tiff, 16 bits": encoded(make_picture(top=65535), "TIFF", description=NAME.decode()),
    }


@pytest.mark.parametrize("kind", images_with_metadata())
def test_metadata_are_removed_and_pixels_kept(kind: str) -> None:
    result = without_name(images_with_metadata()[kind])
    assert sniff(result.blob[:HEAD_BYTES]) == result.media_type
    assert (result.patient_hash, result.study_uid_hash) == (None, None)


def test_strip_jpeg_removes_metadata_only() -> None:
    jpeg = encoded(IMAGE, "JPEG", comment=NAME)
    assert deidentified(jpeg).blob == jpeg.replace(b"\xff\xfe\0\x10" + NAME, b"")
