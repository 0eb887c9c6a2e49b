"""Encoded pixels: streams of every kind, and layouts that the tags misstate."""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.decode.decode import decode_content
from pipeline.dicom.dataset import read_dicom
from pipeline.dicom.encoding import codecs
from pipeline.dicom.encoding.fragments import trim
from pipeline.dicom.image import first_frame
from pipeline.errors import RefusedError
from pipeline.files.jpeg2000 import trim_jpeg_2000
from pipeline.limits import Limits
from pipeline.prepare.prepare import prepare_content
from pipeline.pseudonym import keyed_pseudonyms
from pipeline.types import DecodedImage
from tests.support.data.builders import (
    encoded,
    make_dataset,
    make_dicom,
    make_picture,
    save_dicom,
)
from tests.support.imaging.deidentified import KEY
from tests.support.imaging.jpeg12 import encode_jpeg12
from tests.support.imaging.streams import HTJ2K_PIXELS, HTJ2K_STREAM, frame_of, jpeg_2000, written

needs_dcmtk = pytest.mark.skipif(
    shutil.which("dcmdjpeg") is None, reason="dcmtk, the reference, is not installed"
)
IMAGE = make_picture()
DEEP = make_picture(top=4095)
GREY = np.repeat(IMAGE[..., np.newaxis], 3, axis=-1)
COLOURS = np.stack([IMAGE, IMAGE // 2, 255 - IMAGE], axis=-1)
LUMINANCE = np.array([0.299, 0.587, 0.114])
BEHIND = (b"\xff", b"\0", b"\xff\xff\xff", b"\xff\xd9\0", b"anything else")


def check(
    content: bytes, expected: NDArray[Any], *, told: str = "", atol: float = 0
) -> DecodedImage:
    """Compare with grey levels in [0, 1]; the stored copy is the same, without contradiction."""
    found = decode_content(content)
    np.testing.assert_allclose(found.pixels, expected, atol=atol + 1e-6)
    contradictions = [one for one in found.warnings if "contradicts" in one or "fragments" in one]
    assert bool(told) == bool(contradictions), found.warnings
    assert told in " ".join(contradictions)
    stored = prepare_content(content, pseudonyms=keyed_pseudonyms(KEY), limits=Limits()).stored
    assert stored is not None
    copy = decode_content(stored.blob)
    np.testing.assert_array_equal(copy.pixels, found.pixels)
    assert copy.tags == found.tags
    assert not [one for one in copy.warnings if "contradicts" in one or "fragments" in one]
    return found


def test_high_throughput_jpeg_2000_is_decoded() -> None:
    stream = encapsulate([HTJ2K_STREAM])
    content = written(stream, HTJ2KLossless, pixels=HTJ2K_PIXELS, bits_stored=10)
    check(content, HTJ2K_PIXELS / 1023)


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize(
    "syntax", [JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]
)
def test_what_stands_behind_the_end_of_a_stream_is_ignored(
    syntax: str, behind: bytes, tmp_path: Path
) -> None:
    stream = frame_of(tmp_path, IMAGE, syntax).rstrip(b"\0")
    assert trim(stream + behind) == stream
    content = written(encapsulate([stream + behind]), syntax)
    check(content, IMAGE / 255, atol=3 / 255 if syntax == JPEGBaseline8Bit else 0)


def with_length(stream: bytes, length: int) -> bytes:
    """Return a JPEG 2000 stream whose first tile part states another length (T.800 A.4.2)."""
    place = stream.index(b"\xff\x90") + 6
    return stream[:place] + struct.pack(">I", length) + stream[place + 4 :]


@pytest.mark.parametrize("behind", BEHIND)
def test_tile_part_of_unstated_length_ends_at_the_end_marker(behind: bytes, tmp_path: Path) -> None:
    stream = with_length(jpeg_2000(DEEP), 0) + behind
    content = written(encapsulate([stream]), JPEG2000Lossless, pixels=DEEP, bits_stored=12)
    check(content, DEEP / 4095)


def test_only_jpeg_2000_that_is_cut_short_is_called_so() -> None:
    stream = jpeg_2000(IMAGE)
    assert trim_jpeg_2000(stream[:-2]) == stream, "only the end marker is missing"
    assert trim_jpeg_2000(with_length(stream, 15)) == with_length(stream, 15)
    for cut in (stream[:-3], stream[:100], with_length(stream, 0)[:-2]):
        with pytest.raises(RefusedError, match="cut short"):
            trim_jpeg_2000(cut)


@pytest.mark.parametrize("tiled", [False, True])
def test_every_tile_part_is_walked(tiled: bool) -> None:
    stream = jpeg_2000(IMAGE, **({"tile_size": (32, 32)} if tiled else {}))
    assert stream.count(b"\xff\x90") == (12 if tiled else 1)
    assert trim_jpeg_2000(stream + b"\xff\x90 and more") == stream


@pytest.mark.parametrize(
    "syntax",
    [
        JPEGExtended12Bit,
        "1.2.840.10008.1.2.4.53",
        JPEGBaseline8Bit,
        JPEG2000,
        ExplicitVRLittleEndian,
    ],
)
def test_twelve_bit_jpeg_is_decoded_under_any_syntax(syntax: str, tmp_path: Path) -> None:
    stream = encode_jpeg12(DEEP)
    content = written(encapsulate([stream]), syntax, pixels=DEEP, bits_stored=12)
    is_stated = syntax in (JPEGExtended12Bit, "1.2.840.10008.1.2.4.53")
    told = "" if is_stated else "contradicts the pixel data: JPEG Extended (Process 2 and 4)"
    found = check(content, DEEP / 4095, told=told, atol=2 / 4095)
    np.testing.assert_allclose(found.pixels, decode_content(stream).pixels, atol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_lossy_signed_samples_are_sign_extended(signed: bool, tmp_path: Path) -> None:
    values = DEEP.astype(np.int16) - 2048
    stream = encode_jpeg12(values.view(np.uint16) & np.uint16(4095) if signed else DEEP)
    content = written(
        encapsulate([stream]),
        JPEGExtended12Bit,
        pixels=values if signed else DEEP,
        bits_stored=12,
        WindowCenter=0 if signed else 2048,
        WindowWidth=4096,
    )
    sharp = (DEEP > 8) & (DEEP < 4088) & (np.abs(values) > 8)  # lossy values may wrap elsewhere
    found = decode_content(content)
    np.testing.assert_allclose(found.pixels[sharp], (DEEP / 4095)[sharp], atol=3 / 4095)


RAW = IMAGE.tobytes()
NOT_AS_STATED: dict[str, tuple[str, Any, str]] = {
    "native in fragments": (
        ExplicitVRLittleEndian,
        lambda: encapsulate([RAW[:5000], RAW[5000:]], has_bot=False),
        "in fragments, which Explicit VR Little Endian does not allow",
    ),
    "native in fragments, without a table of offsets": (
        ImplicitVRLittleEndian,
        lambda: encapsulate([RAW], has_bot=False)[8:],
        "in fragments",
    ),
    "native in fragments under JPEG": (
        JPEGLosslessSV1,
        lambda: encapsulate([RAW]),
        "contradicts the pixel data: Explicit VR Little Endian is read",
    ),
    "native under JPEG 2000": (JPEG2000Lossless, lambda: RAW, "Explicit VR Little Endian is read"),
    "encapsulated uncompressed": ("1.2.840.10008.1.2.1.98", lambda: encapsulate([RAW]), ""),
    "JPEG 2000 under a native syntax": (
        ExplicitVRLittleEndian,
        lambda: jpeg_2000(IMAGE),
        "contradicts the pixel data: JPEG 2000 Image Compression",
    ),
    "JPEG 2000 in fragments under a native syntax": (
        ImplicitVRLittleEndian,
        lambda: encapsulate([jpeg_2000(IMAGE)]),
        "contradicts the pixel data: JPEG 2000 Image Compression",
    ),
    "JPEG 2000 under JPEG": (
        JPEGBaseline8Bit,
        lambda: encapsulate([jpeg_2000(IMAGE)]),
        "contradicts the pixel data: JPEG 2000 Image Compression",
    ),
    "JPEG 2000 under RLE": (
        RLELossless,
        lambda: encapsulate([jpeg_2000(IMAGE)]),
        "contradicts the pixel data: JPEG 2000 Image Compression",
    ),
}


@pytest.mark.parametrize("name", NOT_AS_STATED)
def test_the_pixel_data_are_believed(name: str, tmp_path: Path) -> None:
    syntax, value, told = NOT_AS_STATED[name]
    check(written(value(), syntax), IMAGE / 255, told=told)


def test_rle_under_jpeg_is_read_as_rle(tmp_path: Path) -> None:
    stream = frame_of(tmp_path, IMAGE, RLELossless)
    content = written(encapsulate([stream]), JPEGBaseline8Bit)
    check(content, IMAGE / 255, told="contradicts the pixel data: RLE Lossless is read")


@pytest.mark.parametrize("syntax", [JPEGLossless, "1.2.840.10008.1.2.4.58"])
def test_lossless_jpeg_is_read_under_every_lossless_process(syntax: str, tmp_path: Path) -> None:
    stream = frame_of(tmp_path, DEEP, JPEGLosslessSV1, bits_stored=12)
    content = written(encapsulate([stream]), syntax, pixels=DEEP, bits_stored=12)
    check(content, DEEP / 4095)


def native(folder: Path, pixels: NDArray[Any], **attributes: Any) -> bytes:
    return make_dicom(folder / "x.dcm", pixels, **attributes).read_bytes()


def test_unsubsampled_colours_stated_as_subsampled(tmp_path: Path) -> None:
    samples = convert_color_space(COLOURS, "RGB", "YBR_FULL")
    content = native(tmp_path, samples, PhotometricInterpretation="YBR_FULL_422")
    check(content, COLOURS @ LUMINANCE / 255, told="YBR_FULL is read", atol=2 / 255)
    content = native(tmp_path, GREY, PhotometricInterpretation="YBR_FULL_422")
    check(content, IMAGE / 255, told="RGB is read")


def test_grey_ybr_stated_as_rgb(tmp_path: Path) -> None:
    samples = convert_color_space(GREY, "RGB", "YBR_FULL")
    check(native(tmp_path, samples), IMAGE / 255, told="YBR_FULL is read", atol=1 / 255)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_grey_of_three_samples(photometric: str, tmp_path: Path) -> None:
    is_inverse = photometric == "MONOCHROME1"
    for pixels, told in ((GREY, "one of three equal samples"), (COLOURS, "the luminance of")):
        expected = np.rint(pixels @ LUMINANCE) / 255
        content = native(tmp_path, pixels, PhotometricInterpretation=photometric)
        check(content, 1 - expected if is_inverse else expected, told=told, atol=1 / 255)


def test_jpeg_of_three_components_stated_as_grey(tmp_path: Path) -> None:
    stream = encoded(GREY, "JPEG", quality=98)
    content = written(encapsulate([stream]), JPEGBaseline8Bit)
    check(content, IMAGE / 255, told="Photometric Interpretation", atol=3 / 255)


def test_jpeg_of_one_component_stated_as_colour(tmp_path: Path) -> None:
    stream = encoded(IMAGE, "JPEG", quality=98)
    content = written(encapsulate([stream]), JPEGBaseline8Bit, pixels=GREY)
    check(content, IMAGE / 255, told="MONOCHROME2 is read", atol=3 / 255)


@pytest.mark.parametrize("planar", [0, 1])
def test_planes_of_grey_are_found(planar: int, tmp_path: Path) -> None:
    stored = np.moveaxis(GREY, -1, 0) if planar == 0 else GREY
    dataset = make_dataset(GREY, PlanarConfiguration=planar)
    dataset.PixelData = stored.tobytes()
    content = save_dicom(tmp_path / "x.dcm", dataset).read_bytes()
    check(content, IMAGE / 255, told="Planar Configuration (0028,0006)")


@pytest.mark.parametrize("stated", ["YBR_FULL", "YBR_FULL_422", "YBR_RCT", "RGB"])
def test_colour_transform_of_jpeg_2000_is_undone_once(stated: str, tmp_path: Path) -> None:
    stream = jpeg_2000(COLOURS, mct=1)
    content = written(
        encapsulate([stream]),
        JPEG2000Lossless,
        pixels=COLOURS,
        PhotometricInterpretation=stated,
    )
    told = "YBR_RCT is read" if "FULL" in stated else ""
    check(content, COLOURS @ LUMINANCE / 255, told=told)


@pytest.mark.parametrize("stated", ["YBR_RCT", "YBR_FULL_422", "RGB", "PALETTE COLOR"])
@pytest.mark.parametrize("keep_rgb", [False, True])
def test_colours_of_jpeg_are_what_its_markers_say(
    stated: str, keep_rgb: bool, tmp_path: Path
) -> None:
    stream = encoded(COLOURS, "JPEG", quality=98, subsampling=0, keep_rgb=keep_rgb)
    content = written(
        encapsulate([stream]),
        JPEGBaseline8Bit,
        pixels=COLOURS,
        PhotometricInterpretation="RGB" if "PALETTE" in stated else stated,
    )
    true = "RGB" if keep_rgb else "YBR_FULL_422"
    told = "" if true == stated or (keep_rgb and "PALETTE" in stated) else f"{true} is read"
    check(content, COLOURS @ LUMINANCE / 255, told=told, atol=4 / 255)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless])
def test_stream_of_fewer_bits_than_stated(syntax: str, tmp_path: Path) -> None:
    stream = frame_of(tmp_path, IMAGE, syntax)
    content = written(encapsulate([stream]), syntax, pixels=IMAGE.astype(np.uint16), bits_stored=12)
    check(content, IMAGE / 255, told="Bits Stored", atol=3 / 255)


def test_stream_of_more_bits_than_allocated(tmp_path: Path) -> None:
    stream = frame_of(tmp_path, make_picture(top=65535), JPEGLosslessSV1)
    content = written(encapsulate([stream]), JPEGLosslessSV1)
    check(content, make_picture(top=65535) / 65535, told="Bits Allocated")


@pytest.mark.parametrize(
    ("value", "syntax", "words"),
    [
        (encapsulate([b"neither this nor that"]), JPEGLosslessSV1, "are not JPEG Lossless"),
        (encapsulate([RAW[:900]]), ExplicitVRLittleEndian, "in fragments, which Explicit VR"),
        (encapsulate([RAW[:900]]), "1.2.840.10008.1.2.4.100", "MPEG2 .* is not supported"),
        (encapsulate([jpeg_2000(IMAGE[:90])]), JPEG2000, "are 96 and 128, the pixel data have 90"),
        (RAW[:-2], ExplicitVRLittleEndian, "cut short: expected 12288 bytes, received 12286"),
    ],
)
def test_refusals_name_the_contradiction(
    value: bytes, syntax: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match=words):
        decode_content(written(value, syntax))


def test_second_decoder_reads_what_the_first_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = make_dicom(tmp_path / "x.dcm", IMAGE, transfer_syntax=JPEG2000Lossless).read_bytes()
    expected = decode_content(content).pixels

    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError

    monkeypatch.setattr(codecs, "decode_by_openjpeg", refuse)
    np.testing.assert_array_equal(decode_content(content).pixels, expected)


def samples_of(path: Path) -> NDArray[Any]:
    limits = Limits(max_aspect=100)
    return first_frame(read_dicom(path.read_bytes(), limits), limits).samples


def by_dcmtk(folder: Path, path: Path) -> NDArray[Any]:
    subprocess.run(["dcmdjpeg", path, folder / "plain.dcm"], check=True)
    return dcmread(folder / "plain.dcm").pixel_array


@needs_dcmtk
@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_twelve_bit_samples_equal_those_of_dcmtk(name: str, tmp_path: Path) -> None:
    path = Path(str(get_testdata_file(name, download=False)))
    np.testing.assert_array_equal(samples_of(path), by_dcmtk(tmp_path, path))


@needs_dcmtk
@pytest.mark.parametrize(
    "options", ["+ee", "+es", "+ep", "+e1", *(f"+el +sv {number}" for number in range(1, 8))]
)
def test_every_jpeg_process_gives_the_samples_of_dcmtk(options: str, tmp_path: Path) -> None:
    plain, coded = make_dicom(tmp_path / "x.dcm", DEEP, bits_stored=12), tmp_path / "coded.dcm"
    subprocess.run(["dcmcjpeg", *options.split(), plain, coded], check=True)
    np.testing.assert_array_equal(samples_of(coded), by_dcmtk(tmp_path, coded))


@pytest.mark.parametrize(
    "stream",
    [
        b"\xff\xd8\xff\xc0\0\x04\x08\0\xff\xd9",
        jpeg_2000(IMAGE)[:49] + b"\xff\x52\0\x02\xff\x90",
    ],
)
def test_headers_that_are_too_short_are_refused(stream: bytes) -> None:
    with pytest.raises(RefusedError, match=r"no frame header|cut short"):
        decode_content(written(encapsulate([stream]), JPEGBaseline8Bit))
