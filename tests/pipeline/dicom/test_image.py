"""DICOM images: every way of storing the same image decodes to the same pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate, get_frame
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, HTJ2KLossless, JPEGBaseline8Bit, RLELossless

from pipeline.decode.decode import decode
from tests.support.data.builders import (
    LOSSLESS,
    make_dataset,
    make_dicom,
    make_lut,
    make_picture,
    save_dicom,
)

IMAGE = make_picture(top=1023)  # 10 bits in 16
REFERENCE = IMAGE / 1023


def decoded(path: Path, pixels: NDArray[Any] | None = None, **attributes: Any) -> NDArray[Any]:
    return decode(make_dicom(path / "x.dcm", pixels, **attributes)).pixels


def test_image_is_float_in_unit_range_with_tags(tmp_path: Path) -> None:
    image = decode(make_dicom(tmp_path / "x.dcm", IMAGE, bits_stored=10, PatientAge="093Y"))
    assert image.pixels.dtype == np.float32
    assert (image.rows, image.columns, image.frames) == (96, 128, 1)
    assert image.media_type == "application/dicom"
    assert image.tags == {
        "Modality": "CR",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientAge": "090Y",
        "PhotometricInterpretation": "MONOCHROME2",
    }
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_transfer_syntaxes(tmp_path: Path, syntax: str) -> None:
    pixels = decoded(tmp_path, IMAGE, bits_stored=10, transfer_syntax=syntax)
    np.testing.assert_allclose(pixels, REFERENCE, atol=1e-6)


def test_jpeg_baseline(tmp_path: Path) -> None:
    pixels = decoded(tmp_path, make_picture(), transfer_syntax=JPEGBaseline8Bit)
    np.testing.assert_allclose(pixels, make_picture() / 255, atol=6 / 255)


def test_big_endian(tmp_path: Path) -> None:
    path = make_dicom(
        tmp_path / "x.dcm",
        IMAGE.astype(">u2"),
        bits_stored=10,
        transfer_syntax=ExplicitVRBigEndian,
    )
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-6)


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_scale_is_that_of_the_bits_stored(tmp_path: Path, bits: int, photometric: str) -> None:
    """An image that uses half of its range is half as bright: it is not stretched."""
    stored = np.rint(REFERENCE * (2**bits - 1) / 2).astype(np.uint16)
    pixels = decoded(tmp_path, stored, bits_stored=bits, PhotometricInterpretation=photometric)
    expected = stored / (2**bits - 1)
    expected = 1 - expected if photometric == "MONOCHROME1" else expected
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_signed_values(tmp_path: Path, bits: int) -> None:
    half = 2 ** (bits - 1)
    stored = (np.rint(REFERENCE * (2 * half - 1)) - half).astype(np.int16)
    pixels = decoded(tmp_path, stored, bits_stored=bits)
    np.testing.assert_allclose(pixels, REFERENCE, atol=0.51 / half)


def test_overlay_bits_above_the_stored_ones_are_ignored(tmp_path: Path) -> None:
    overlay = np.zeros_like(IMAGE)
    overlay[10:20, 10:20] = 0x8000
    pixels = decoded(tmp_path, IMAGE | overlay, bits_stored=10)
    np.testing.assert_allclose(pixels, REFERENCE, atol=1e-6)


def test_high_bit_above_the_lowest_place(tmp_path: Path) -> None:
    pixels = decoded(tmp_path, IMAGE << 4, bits_stored=10, HighBit=13)
    np.testing.assert_allclose(pixels, REFERENCE, atol=1e-6)


def test_rescale_applies_to_the_range_too(tmp_path: Path) -> None:
    pixels = decoded(tmp_path, IMAGE, bits_stored=10, RescaleSlope=0.5, RescaleIntercept=-100)
    np.testing.assert_allclose(pixels, REFERENCE, atol=1e-6)


def test_window_applies_after_rescale(tmp_path: Path) -> None:
    pixels = decoded(
        tmp_path,
        IMAGE,
        bits_stored=10,
        RescaleSlope=2,
        RescaleIntercept=-100,
        WindowCenter=[900, 1],
        WindowWidth=[801, 2],
    )
    values = IMAGE * 2.0 - 100
    np.testing.assert_allclose(pixels, np.clip((values - 899.5) / 800 + 0.5, 0, 1), atol=1e-6)


def test_voi_table_precedes_the_window_and_monochrome1_follows(tmp_path: Path) -> None:
    table = np.arange(1024, dtype=np.uint16)[::-1] * 4
    pixels = decoded(
        tmp_path,
        IMAGE,
        bits_stored=10,
        PhotometricInterpretation="MONOCHROME1",
        VOILUTSequence=[make_lut(table, first=0, bits=12)],
        WindowCenter=1,
        WindowWidth=2,
    )
    np.testing.assert_allclose(pixels, 1 - (1023 - IMAGE) * 4 / 4095, atol=1e-6)


def test_voi_table_clamps_below_its_first_and_above_its_last_value(tmp_path: Path) -> None:
    table = np.array([100, 200, 300], np.uint16)
    stored = IMAGE.copy()
    stored[0, :4] = [0, 500, 501, 1023]
    pixels = decoded(
        tmp_path, stored, bits_stored=10, VOILUTSequence=[make_lut(table, first=500, bits=10)]
    )
    np.testing.assert_allclose(pixels[0, :4] * 1023, [100, 100, 200, 300], atol=1e-3)


def test_modality_table(tmp_path: Path) -> None:
    table = (np.arange(1024, dtype=np.uint16) // 2) + 100
    pixels = decoded(
        tmp_path,
        IMAGE,
        bits_stored=10,
        ModalityLUTSequence=[make_lut(table, first=0, bits=16)],
        WindowCenter=356,
        WindowWidth=512,
        VOILUTFunction="LINEAR_EXACT",
    )
    np.testing.assert_allclose(pixels, (IMAGE // 2) / 512, atol=1e-6)


def test_colour_becomes_luminance(tmp_path: Path) -> None:
    grey = make_picture()
    colour = np.dstack([grey, grey // 2, np.zeros_like(grey)])
    pixels = decoded(tmp_path, colour)
    np.testing.assert_allclose(pixels, (0.299 * grey + 0.587 * (grey // 2)) / 255, atol=1e-5)


def test_ybr_full_is_converted(tmp_path: Path) -> None:
    grey = make_picture()
    neutral = np.dstack([grey, np.full_like(grey, 128), np.full_like(grey, 128)])
    pixels = decoded(tmp_path, neutral, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(pixels, grey / 255, atol=1 / 255)


def test_float_pixels(tmp_path: Path) -> None:
    values = (REFERENCE * 8 - 3).astype(np.float32)
    dataset = make_dataset(make_picture(), BitsStored=None, HighBit=None, PixelData=None)
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = values.tobytes()
    save_dicom(tmp_path / "x.dcm", dataset)
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, REFERENCE, atol=1e-5)


def test_padding_border_is_cropped_and_inner_padding_is_black(tmp_path: Path) -> None:
    inner = np.clip(IMAGE, 0, 1000)
    inner[40:50, 40:50] = 1023
    stored = np.pad(inner, 20, constant_values=1023)
    image = decode(make_dicom(tmp_path / "x.dcm", stored, bits_stored=10, PixelPaddingValue=1023))
    assert image.pixels.shape == IMAGE.shape
    assert (image.rows, image.columns) == (136, 168)
    expected = inner / 1023
    expected[40:50, 40:50] = 0
    np.testing.assert_allclose(image.pixels, expected, atol=1e-6)


def test_padding_range(tmp_path: Path) -> None:
    stored = np.pad(np.clip(IMAGE, 10, 1023), 20, constant_values=3)
    pixels = decoded(
        tmp_path, stored, bits_stored=10, PixelPaddingValue=0, PixelPaddingRangeLimit=5
    )
    assert pixels.shape == IMAGE.shape


def test_first_of_several_frames_is_read_with_a_warning(tmp_path: Path) -> None:
    frames = np.stack([IMAGE, IMAGE[:, ::-1], np.zeros_like(IMAGE)])
    image = decode(make_dicom(tmp_path / "x.dcm", frames, bits_stored=10))
    assert image.frames == 3
    assert image.warnings == ("first of 3 frames read",)
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)


def test_without_preamble_and_meta_information(tmp_path: Path) -> None:
    dataset = make_dataset(IMAGE, bits_stored=10)
    path = tmp_path / "x"
    dataset.save_as(path, implicit_vr=True, little_endian=True)
    assert b"DICM" not in path.read_bytes()[:200]
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-6)


def test_high_throughput_jpeg_2000_is_decodable() -> None:
    """There is no encoder for it here; the shared data contain a file."""
    from pydicom.pixels.decoders.base import get_decoder

    import pipeline.dicom.pixels  # noqa: F401  (registers the decoder)

    assert get_decoder(HTJ2KLossless).is_available


@pytest.mark.parametrize(
    "tags",
    [
        {"SamplesPerPixel": None},
        {"PixelRepresentation": None},
        {"HighBit": None},
        {"PhotometricInterpretation": "monochrome2"},
    ],
    ids=str,
)
def test_missing_and_lower_case_tags_are_read(tags: dict[str, Any], tmp_path: Path) -> None:
    save_dicom(tmp_path / "x.dcm", make_dataset(IMAGE, bits_stored=10, **tags))
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, REFERENCE, atol=1e-6)


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [("Rows", "LO", "96"), ("Columns", "FD", 128.0), ("PixelRepresentation", "LO", "0")],
)
def test_numbers_of_another_vr_are_read(keyword: str, vr: str, value: Any, tmp_path: Path) -> None:
    dataset = make_dataset(IMAGE, bits_stored=10)
    dataset[keyword] = DataElement(Tag(keyword), vr, value)
    save_dicom(tmp_path / "x.dcm", dataset)
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, REFERENCE, atol=1e-6)


def test_colours_scale_by_the_bits_stored(tmp_path: Path) -> None:
    colours = np.stack([IMAGE] * 3, axis=-1)
    dataset = make_dataset(colours, bits_stored=10, PlanarConfiguration=None)
    save_dicom(tmp_path / "x.dcm", dataset)
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, REFERENCE, atol=1e-5)


@pytest.mark.parametrize(
    ("width", "centre"),
    [
        ("0", "500"),
        ("1", "512"),
        ("900", "1e9"),
        ("1e300", "0"),
        ("4O95 ", "512"),
        ("409,6", "512"),
    ],
)
def test_unusable_windows_are_ignored_with_a_warning(
    width: str, centre: str, tmp_path: Path
) -> None:
    """Without width, outside the image, infinite, or not a number."""
    path = tmp_path / "x.dcm"
    tags = {"WindowWidth": "77777", "WindowCenter": centre}
    save_dicom(path, make_dataset(IMAGE, bits_stored=10, **tags))
    path.write_bytes(path.read_bytes().replace(b"77777 ", width.ljust(6).encode()))
    image = decode(path)
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)
    assert image.warnings == ("the stated window cannot be applied, the whole range is shown",)


def test_tiny_slope_is_applied(tmp_path: Path) -> None:
    save_dicom(tmp_path / "x.dcm", make_dataset(IMAGE, bits_stored=10, RescaleSlope="1e-30"))
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, REFERENCE, atol=1e-6)


def test_frame_offsets_from_the_start_of_the_file_are_ignored(tmp_path: Path) -> None:
    """Some writers count so; PS3.5 A.4 counts from the first frame."""
    path = tmp_path / "x.dcm"
    save_dicom(path, make_dataset(IMAGE, bits_stored=10), transfer_syntax=RLELossless)
    dataset = pydicom.dcmread(path)
    pixels = bytearray(encapsulate([get_frame(dataset.PixelData, 0, number_of_frames=1)]))
    pixels[8:12] = (1234).to_bytes(4, "little")
    dataset.PixelData = bytes(pixels)
    dataset.save_as(path)
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-6)


def test_rle_segments_that_are_too_long_are_decoded(tmp_path: Path) -> None:
    """The fast decoder panics on them, which is not an Exception; pydicom's accepts them."""
    path = make_dicom(tmp_path / "x.dcm", IMAGE, bits_stored=10, transfer_syntax=RLELossless)
    dataset = pydicom.dcmread(path)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame.rstrip(b"\0") + b"\x81\x01" * 200])
    dataset.save_as(path)
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-6)
