"""DICOM images: every way of storing the same image decodes to the same pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, JPEGBaseline8Bit, RLELossless

from pipeline.decode.decode import decode
from tests.support.data.builders import (
    LOSSLESS,
    change_frame,
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
    assert image.tags == {
        "Modality": "CR",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientAge": "090Y",
        "PhotometricInterpretation": "MONOCHROME2",
    }
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)


OVERLAY = np.zeros_like(IMAGE)
OVERLAY[10:20, 10:20] = 0x8000
FORMS: dict[str, dict[str, Any]] = {
    **{syntax.name: {"transfer_syntax": syntax} for syntax in LOSSLESS},
    "big endian": {"pixels": IMAGE.astype(">u2"), "transfer_syntax": ExplicitVRBigEndian},
    "overlay above the stored bits": {"pixels": IMAGE | OVERLAY},
    "stored bits above the lowest": {"pixels": IMAGE << 4, "HighBit": 13},
    "rescaled": {"RescaleSlope": 0.5, "RescaleIntercept": -100},
    "tiny slope": {"RescaleSlope": "1e-30"},
    "no Samples per Pixel": {"SamplesPerPixel": None},
    "no Pixel Representation": {"PixelRepresentation": None},
    "no High Bit": {"HighBit": None},
    "lower case": {"PhotometricInterpretation": "monochrome2"},
    "colours": {"pixels": np.stack([IMAGE] * 3, axis=-1), "PlanarConfiguration": None},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_image_decodes_to_the_same_pixels(tmp_path: Path, form: str) -> None:
    attributes: dict[str, Any] = {"pixels": IMAGE, "bits_stored": 10} | FORMS[form]
    pixels = decoded(tmp_path, **attributes)
    np.testing.assert_allclose(pixels, REFERENCE, atol=1e-5 if form == "colours" else 1e-6)


RAMP = np.arange(1024, dtype=np.uint16)
GREY = make_picture()
NEUTRAL = np.full_like(GREY, 128)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"RescaleSlope": 2, "RescaleIntercept": -100}
            | {"WindowCenter": [900, 1], "WindowWidth": [801, 2]},
            np.clip((IMAGE * 2.0 - 999.5) / 800 + 0.5, 0, 1),
        ),
        (
            {"VOILUTSequence": [make_lut(RAMP[::-1] * 4, first=0, bits=12)]}
            | {"WindowCenter": 1, "WindowWidth": 2, "PhotometricInterpretation": "MONOCHROME1"},
            1 - (1023 - IMAGE) * 4 / 4095,
        ),
        (
            {"ModalityLUTSequence": [make_lut(RAMP // 2 + 100, first=0, bits=16)]}
            | {"WindowCenter": 356, "WindowWidth": 512, "VOILUTFunction": "LINEAR_EXACT"},
            (IMAGE // 2) / 512,
        ),
    ],
    ids=["window after rescale", "VOI table before window", "window after modality table"],
)
def test_tables_and_windows_apply_in_order(
    tmp_path: Path, attributes: dict[str, Any], expected: NDArray[Any]
) -> None:
    pixels = decoded(tmp_path, IMAGE, bits_stored=10, **attributes)
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "attributes", "expected", "tolerance"),
    [
        (GREY, {"transfer_syntax": JPEGBaseline8Bit}, GREY, 6),
        (np.dstack([GREY, GREY // 2, 0 * GREY]), {}, 0.299 * GREY + 0.587 * (GREY // 2), 0.002),
        (np.dstack([GREY, NEUTRAL, NEUTRAL]), {"PhotometricInterpretation": "YBR_FULL"}, GREY, 1),
    ],
    ids=["lossy JPEG", "RGB", "YBR_FULL"],
)
def test_lossy_and_colour_images_decode_to_luminance(
    tmp_path: Path,
    pixels: NDArray[Any],
    attributes: dict[str, Any],
    expected: NDArray[Any],
    tolerance: float,
) -> None:
    found = decoded(tmp_path, pixels, **attributes)
    np.testing.assert_allclose(found * 255, expected, atol=tolerance)


def test_frame_offsets_from_the_start_of_the_file_are_ignored(tmp_path: Path) -> None:
    """Some writers count so; PS3.5 A.4 counts from the first frame."""
    path = make_dicom(tmp_path / "x.dcm", IMAGE, bits_stored=10, transfer_syntax=RLELossless)
    dataset = pydicom.dcmread(path)
    pixels = bytearray(dataset.PixelData)
    pixels[8:12] = (1234).to_bytes(4, "little")
    dataset.PixelData = bytes(pixels)
    dataset.save_as(path)
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-6)


def test_rle_segments_that_are_too_long_are_decoded(tmp_path: Path) -> None:
    """The fast decoder panics on them, which is not an Exception; pydicom's accepts them."""
    path = make_dicom(tmp_path / "x.dcm", IMAGE, bits_stored=10, transfer_syntax=RLELossless)
    change_frame(path, lambda frame: frame + b"\x81\x01" * 200)
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-6)


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_scale_is_that_of_the_bits_stored(tmp_path: Path, bits: int, photometric: str) -> None:
    """An image that uses most of its range is not stretched."""
    stored = np.rint(REFERENCE * (2**bits - 1) * 0.7).astype(np.uint16)
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


def test_voi_table_clamps_below_its_first_and_above_its_last_value(tmp_path: Path) -> None:
    table = np.arange(100, 900, dtype=np.uint16)
    stored = IMAGE.copy()
    stored[0, :4] = [0, 150, 151, 1023]
    pixels = decoded(
        tmp_path, stored, bits_stored=10, VOILUTSequence=[make_lut(table, first=150, bits=10)]
    )
    np.testing.assert_allclose(pixels[0, :4] * 1023, [100, 100, 101, 899], atol=1e-3)


def test_float_pixels(tmp_path: Path) -> None:
    values = (REFERENCE * 255).astype(np.float32)
    dataset = make_dataset(make_picture(), BitsStored=None, HighBit=None, PixelData=None)
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = values.tobytes()
    path = save_dicom(tmp_path / "x.dcm", dataset)
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-5)


def test_padding_border_is_cropped_and_saturated_film_stays_white(tmp_path: Path) -> None:
    inner = np.clip(IMAGE, 0, 1000)
    inner[40:50, 40:50] = 1023
    stored = np.pad(inner, 20, constant_values=1023)
    image = decode(make_dicom(tmp_path / "x.dcm", stored, bits_stored=10, PixelPaddingValue=1023))
    assert image.pixels.shape == IMAGE.shape
    assert (image.rows, image.columns) == (136, 168)
    np.testing.assert_allclose(image.pixels, inner / 1023, atol=1e-6)


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


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [("Rows", "LO", "96"), ("Columns", "FD", 128.0), ("PixelRepresentation", "LO", "0")],
)
def test_numbers_of_another_vr_are_read(keyword: str, vr: str, value: Any, tmp_path: Path) -> None:
    dataset = make_dataset(IMAGE, bits_stored=10)
    dataset[keyword] = DataElement(Tag(keyword), vr, value)
    path = save_dicom(tmp_path / "x.dcm", dataset)
    np.testing.assert_allclose(decode(path).pixels, REFERENCE, atol=1e-6)


@pytest.mark.parametrize(
    ("width", "centre"),
    [
        ("0", "500"),
        ("1", "512"),
        ("900", "1e9"),
        ("1e300", "0"),
        ("4O95 ", "512"),
    ],
)
def test_unusable_windows_are_ignored_with_a_warning(
    width: str, centre: str, tmp_path: Path
) -> None:
    """Without width, outside the image, infinite, or not a number."""
    tags = {"WindowWidth": "77777", "WindowCenter": centre}
    path = make_dicom(tmp_path / "x.dcm", IMAGE, bits_stored=10, **tags)
    path.write_bytes(path.read_bytes().replace(b"77777 ", width.ljust(6).encode()))
    image = decode(path)
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)
    assert image.warnings == (
        "the stated window does not fit the values, the whole range is shown",
    )
