"""DICOM built here: every way of storing the same picture gives the same picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    ExplicitVRBigEndian,
    HTJ2KLossless,
    JPEGBaseline8Bit,
)

from pipeline.decode.decode import decode
from tests.support.data.builders import (
    LOSSLESS,
    make_dataset,
    make_dicom,
    make_lut,
    make_picture,
    save_dicom,
)

PICTURE = make_picture(top=1023)  # 10 bits in 16
REFERENCE = PICTURE / 1023


def decoded(path: Path, pixels: NDArray[Any] | None = None, **attributes: Any) -> NDArray[Any]:
    return decode(make_dicom(path / "x.dcm", pixels, **attributes)).pixels


def test_picture_is_float_in_unit_range_and_described(tmp_path: Path) -> None:
    image = decode(make_dicom(tmp_path / "x.dcm", PICTURE, bits_stored=10, PatientAge="093Y"))
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
    pixels = decoded(tmp_path, PICTURE, bits_stored=10, transfer_syntax=syntax)
    np.testing.assert_allclose(pixels, REFERENCE, atol=1e-6)


def test_jpeg_baseline(tmp_path: Path) -> None:
    pixels = decoded(tmp_path, make_picture(), transfer_syntax=JPEGBaseline8Bit)
    np.testing.assert_allclose(pixels, make_picture() / 255, atol=6 / 255)


def test_big_endian(tmp_path: Path) -> None:
    path = make_dicom(
        tmp_path / "x.dcm",
        PICTURE.astype(">u2"),
        bits_stored=10,
        transfer_syntax=ExplicitVRBigEndian,
    )
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-6)


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_scale_is_that_of_the_bits_stored(tmp_path: Path, bits: int, photometric: str) -> None:
    """A picture that uses half of its range stays half as bright: no stretching."""
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


def test_old_overlay_bits_above_the_stored_ones_are_ignored(tmp_path: Path) -> None:
    """PS3.5 8.1.1: bits that are not stored may hold anything."""
    overlay = np.zeros_like(PICTURE)
    overlay[10:20, 10:20] = 0x8000
    pixels = decoded(tmp_path, PICTURE | overlay, bits_stored=10)
    np.testing.assert_allclose(pixels, REFERENCE, atol=1e-6)


def test_high_bit_above_the_lowest_place(tmp_path: Path) -> None:
    pixels = decoded(tmp_path, PICTURE << 4, bits_stored=10, HighBit=13)
    np.testing.assert_allclose(pixels, REFERENCE, atol=1e-6)


def test_rescale_moves_the_range_with_the_values(tmp_path: Path) -> None:
    pixels = decoded(tmp_path, PICTURE, bits_stored=10, RescaleSlope=0.5, RescaleIntercept=-100)
    np.testing.assert_allclose(pixels, REFERENCE, atol=1e-6)


def test_window_applies_after_rescale(tmp_path: Path) -> None:
    pixels = decoded(
        tmp_path,
        PICTURE,
        bits_stored=10,
        RescaleSlope=2,
        RescaleIntercept=-100,
        WindowCenter=[900, 1],
        WindowWidth=[801, 2],
    )
    values = PICTURE * 2.0 - 100
    np.testing.assert_allclose(pixels, np.clip((values - 899.5) / 800 + 0.5, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # PS3.3 C.11.2.1.2.1, C.11.2.1.3.2, C.11.2.1.3.1, worked out for stored value 600.
        ("LINEAR", (600 - 499.5) / 399 + 0.5),
        ("LINEAR_EXACT", (600 - 500) / 400 + 0.5),
        ("SIGMOID", 1 / (1 + np.exp(-4 * (600 - 500) / 400))),
    ],
)
def test_window_functions(tmp_path: Path, function: str, expected: float) -> None:
    stored = PICTURE.copy()
    stored[0, 0] = 600
    pixels = decoded(
        tmp_path,
        stored,
        bits_stored=10,
        WindowCenter=500,
        WindowWidth=400,
        VOILUTFunction=function,
    )
    assert pixels[0, 0] == pytest.approx(expected, abs=1e-6)


def test_window_of_no_width_is_told_and_the_whole_range_shown(tmp_path: Path) -> None:
    image = decode(
        make_dicom(tmp_path / "x.dcm", PICTURE, bits_stored=10, WindowCenter=500, WindowWidth=0)
    )
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)
    assert image.warnings == ("the stated window cannot be applied, the whole range is shown",)


def test_voi_table_comes_before_the_window_and_monochrome1_after(tmp_path: Path) -> None:
    table = np.arange(1024, dtype=np.uint16)[::-1] * 4
    pixels = decoded(
        tmp_path,
        PICTURE,
        bits_stored=10,
        PhotometricInterpretation="MONOCHROME1",
        VOILUTSequence=[make_lut(table, first=0, bits=12)],
        WindowCenter=1,
        WindowWidth=2,
    )
    np.testing.assert_allclose(pixels, 1 - (1023 - PICTURE) * 4 / 4095, atol=1e-6)


def test_voi_table_clamps_below_its_first_and_above_its_last_value(tmp_path: Path) -> None:
    table = np.array([100, 200, 300], np.uint16)
    stored = PICTURE.copy()
    stored[0, :4] = [0, 500, 501, 1023]
    pixels = decoded(
        tmp_path, stored, bits_stored=10, VOILUTSequence=[make_lut(table, first=500, bits=10)]
    )
    np.testing.assert_allclose(pixels[0, :4] * 1023, [100, 100, 200, 300], atol=1e-3)


def test_modality_table(tmp_path: Path) -> None:
    table = (np.arange(1024, dtype=np.uint16) // 2) + 100
    pixels = decoded(
        tmp_path,
        PICTURE,
        bits_stored=10,
        ModalityLUTSequence=[make_lut(table, first=0, bits=16)],
        WindowCenter=356,
        WindowWidth=512,
        VOILUTFunction="LINEAR_EXACT",
    )
    np.testing.assert_allclose(pixels, (PICTURE // 2) / 512, atol=1e-6)


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


def test_palette_colour(tmp_path: Path) -> None:
    grey = make_picture()
    lookup: dict[str, Any] = {}
    for colour in ("Red", "Green", "Blue"):
        lookup[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        lookup[f"{colour}PaletteColorLookupTableData"] = (
            (np.arange(256, dtype="<u2")[::-1] * 257).astype("<u2").tobytes()
        )
    pixels = decoded(tmp_path, grey, PhotometricInterpretation="PALETTE COLOR", **lookup)
    np.testing.assert_allclose(pixels, 1 - grey / 255, atol=1e-5)


def test_float_pixels(tmp_path: Path) -> None:
    values = (REFERENCE * 8 - 3).astype(np.float32)
    dataset = make_dataset(make_picture(), BitsStored=None, HighBit=None, PixelData=None)
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = values.tobytes()
    save_dicom(tmp_path / "x.dcm", dataset)
    np.testing.assert_allclose(decode(tmp_path / "x.dcm").pixels, REFERENCE, atol=1e-5)


def test_padding_border_is_cut_off_and_padding_inside_is_black(tmp_path: Path) -> None:
    inner = np.clip(PICTURE, 0, 1000)
    inner[40:50, 40:50] = 1023
    stored = np.pad(inner, 20, constant_values=1023)
    image = decode(make_dicom(tmp_path / "x.dcm", stored, bits_stored=10, PixelPaddingValue=1023))
    assert image.pixels.shape == PICTURE.shape
    assert (image.rows, image.columns) == (136, 168)
    expected = inner / 1023
    expected[40:50, 40:50] = 0
    np.testing.assert_allclose(image.pixels, expected, atol=1e-6)


def test_padding_range(tmp_path: Path) -> None:
    stored = np.pad(np.clip(PICTURE, 10, 1023), 20, constant_values=3)
    pixels = decoded(
        tmp_path, stored, bits_stored=10, PixelPaddingValue=0, PixelPaddingRangeLimit=5
    )
    assert pixels.shape == PICTURE.shape


def test_first_frame_is_read_and_said_so(tmp_path: Path) -> None:
    frames = np.stack([PICTURE, PICTURE[:, ::-1], np.zeros_like(PICTURE)])
    image = decode(make_dicom(tmp_path / "x.dcm", frames, bits_stored=10))
    assert image.frames == 3
    assert image.warnings == ("first of 3 frames read",)
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)


def test_without_preamble_and_meta_information(tmp_path: Path) -> None:
    dataset = make_dataset(PICTURE, bits_stored=10)
    path = tmp_path / "x"
    dataset.save_as(path, implicit_vr=True, little_endian=True)
    assert b"DICM" not in path.read_bytes()[:200]
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-6)


def test_high_throughput_jpeg_2000_is_decodable() -> None:
    """No encoder for it exists here; the shared data hold a file."""
    from pydicom.pixels.decoders.base import get_decoder

    import pipeline.dicom.pixels  # noqa: F401  (registers the decoder)

    assert get_decoder(HTJ2KLossless).is_available
