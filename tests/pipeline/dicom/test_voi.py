"""Windows and tables are applied where they fit the values, else a range of values is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.decode.decode import decode
from pipeline.types import RangeRule
from tests.support.data.builders import (
    make_dataset,
    make_dicom,
    make_lut,
    make_picture,
    save_dicom,
)

REFERENCE = np.clip((make_picture(top=4095) / 4095 - 0.02) / 0.96, 0, 1)
IMAGE = np.rint(REFERENCE * 4095).astype(np.uint16)
SIGNED = (IMAGE - 2048.0).astype(np.int16)
RAMP = np.arange(4096, dtype=np.uint16)
WHOLE, MOVED = "the whole range is shown", "it is moved by their offset"
ANOTHER = ("the first stated window does not fit the values, another is shown",)


def window(centre: Any, width: Any, **tags: Any) -> dict[str, Any]:
    return {"WindowCenter": centre, "WindowWidth": width} | tags


def table(*, first: int, **tags: Any) -> dict[str, Any]:
    item = make_lut(RAMP, first=first % 2**16, bits=12)
    return {"VOILUTSequence": [item]} | tags


@pytest.mark.parametrize(
    "tags",
    [
        window(2048, 4096),
        window(2048, 4096, VOILUTFunction="SIGMOID"),
        window(1500, 900),  # narrow
        window(3000, 2500),
        window(2700, 7000),  # generous
        window(2048, 4096, RescaleSlope=-1, RescaleIntercept=4095),
        window(-24, 2048, RescaleIntercept=-1024),
    ],
    ids=str,
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_windows_of_hospitals_are_applied(
    tmp_path: Path, tags: dict[str, Any], photometric: str
) -> None:
    tags["PhotometricInterpretation"] = photometric
    image = decode(make_dicom(tmp_path / "x.dcm", IMAGE, bits_stored=12, **tags))
    assert (image.range_rule, image.warnings) == (RangeRule.WINDOW, ())


@pytest.mark.parametrize(
    "tags",
    [
        window(32767, 65535),
        window(8192, 16384),
        window(128, 256),
        window(512, 1024),
        window(512, 1),
        window(5000, 2000),
        window(8192, 16384, RescaleIntercept=-32768),
        window(4096, 8192),
        window(4095.5, 8191),
        window(1024, 2048),
        window(1800, 700, RescaleIntercept=-6000),  # narrow without the offset too
        {"VOILUTSequence": [make_lut(RAMP, first=30000, bits=12)]},
    ],
    ids=str,
)
def test_whole_range_is_shown_where_no_window_fits(tmp_path: Path, tags: dict[str, Any]) -> None:
    image = decode(make_dicom(tmp_path / "x.dcm", IMAGE, bits_stored=12, **tags))
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-3)
    assert image.range_rule == RangeRule.BITS_STORED
    stated = "table" if "VOILUTSequence" in tags else "window"
    assert image.warnings == (f"the stated {stated} does not fit the values, {WHOLE}",)


@pytest.mark.parametrize(
    ("stored", "bits", "tags"),
    [
        (32768 + IMAGE, 16, window(2048, 4096)),
        (32768 + IMAGE, 16, window([8192, 2048], [16384, 4096])),
        (32768 + IMAGE, 16, window(-952, 4096, RescaleIntercept=-3000)),
        (32768 + IMAGE, 16, window(6144, 12286, RescaleSlope=3)),
        (2048 + IMAGE // 2, 12, window(1024, 2048)),
        ((IMAGE - 32768.0).astype(np.int16), 16, window(2048, 4096)),
        (IMAGE, 12, window(2048, 4096, RescaleIntercept=-32768)),
        (IMAGE, 12, window(2048, 4096, RescaleSlope=0.2, RescaleIntercept=7)),
        (IMAGE, 12, window(2048, 4096, RescaleSlope=-1)),
        # Those of the other sign, or before a small offset, show a part of the film.
        (IMAGE, 12, window(2048, 4096, RescaleIntercept=-1024)),
        (IMAGE, 12, window(0, 4096)),
        (SIGNED, 12, window(2048, 4096)),
        (SIGNED, 16, window(2047.5, 4095)),
        (SIGNED, 12, window([2048, 128], [4096, 256])),
        (SIGNED, 12, table(first=0)),
        (IMAGE, 12, table(first=0, RescaleIntercept=-1024)),
        (IMAGE, 12, table(first=-2048)),
        (32768 + IMAGE, 16, table(first=0)),
    ],
)
def test_window_before_an_offset_is_moved(
    tmp_path: Path, stored: NDArray[Any], bits: int, tags: dict[str, Any]
) -> None:
    image = decode(make_dicom(tmp_path / "x.dcm", stored, bits_stored=bits, **tags))
    expected = 1 - REFERENCE if tags.get("RescaleSlope", 1) < 0 else REFERENCE
    np.testing.assert_allclose(image.pixels, expected, atol=2e-3)
    stated = "table" if "VOILUTSequence" in tags else "window"
    assert image.range_rule == stated
    assert image.warnings == (f"the stated {stated} does not fit the values, {MOVED}",)


@pytest.mark.parametrize(
    ("stored", "bits", "tags"),
    [
        (IMAGE, 12, window(2500, 2500, RescaleIntercept=-200)),  # clips most without the offset
        (IMAGE // 4 + 2048, 12, window(2500, 700)),
        (SIGNED, 12, window(300, 2500)),
        (IMAGE, 12, window([2048, 1024], [4096, 4096], RescaleIntercept=-1024)),
        (IMAGE, 16, window(2048, 4096)),
        (IMAGE // 2, 12, window(2048, 4096)),
        (4095 - IMAGE, 12, window(1024, 2048, PhotometricInterpretation="MONOCHROME1")),
    ],
)
def test_window_that_clips_a_part_is_not_moved(
    tmp_path: Path, stored: NDArray[Any], bits: int, tags: dict[str, Any]
) -> None:
    image = decode(make_dicom(tmp_path / "x.dcm", stored, bits_stored=bits, **tags))
    assert (image.range_rule, image.warnings) == (RangeRule.WINDOW, ())


@pytest.mark.parametrize(
    ("tags", "rule", "warnings"),
    [
        (window([128, 2048], [256, 4096]), RangeRule.WINDOW, ANOTHER),
        (window([2048, 128], [4096, 256]), RangeRule.WINDOW, ()),
        (
            window(2048, 4096, VOILUTSequence=[make_lut(RAMP, first=30000, bits=12)]),
            RangeRule.WINDOW,
            ANOTHER,
        ),
        (
            window(128, 256, VOILUTSequence=[make_lut(RAMP, first=0, bits=12)]),
            RangeRule.TABLE,
            (),
        ),
    ],
)
def test_first_that_fits_is_applied(
    tmp_path: Path, tags: dict[str, Any], rule: RangeRule, warnings: tuple[str, ...]
) -> None:
    image = decode(make_dicom(tmp_path / "x.dcm", IMAGE, bits_stored=12, **tags))
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-3)
    assert (image.range_rule, image.warnings) == (rule, warnings)


@pytest.mark.parametrize(
    ("stored", "bits", "tags", "rule"),
    [
        (IMAGE // 4, 12, {}, RangeRule.BITS_USED),
        (IMAGE // 4, 12, {"PhotometricInterpretation": "MONOCHROME1"}, RangeRule.BITS_USED),
        (IMAGE // 4, 12, {"RescaleSlope": -2, "RescaleIntercept": 7}, RangeRule.BITS_USED),
        (IMAGE, 16, window(30000, 65535), RangeRule.BITS_USED),
        (IMAGE.astype(np.int16), 16, {}, RangeRule.BITS_USED),
        (IMAGE.astype(np.uint32), 32, {}, RangeRule.BITS_USED),
        (1000 + IMAGE // 4, 12, {"RescaleSlope": 3}, RangeRule.PERCENTILES),
    ],
)
def test_used_range_stands_in_for_a_window(
    tmp_path: Path, stored: NDArray[Any], bits: int, tags: dict[str, Any], rule: RangeRule
) -> None:
    image = decode(make_dicom(tmp_path / "x.dcm", stored, bits_stored=bits, **tags))
    is_turned = "PhotometricInterpretation" in tags or tags.get("RescaleSlope", 1) < 0
    expected = 1 - REFERENCE if is_turned else REFERENCE
    top = 0.9 if rule == RangeRule.PERCENTILES else 1
    np.testing.assert_allclose(image.pixels, expected * top, atol=0.012)
    assert image.range_rule == rule
    assert "values" in image.warnings[-1]


@pytest.mark.parametrize("bright_pixels", [0, 1])
@pytest.mark.parametrize("rows", [1, 3, 20])
def test_text_and_frames_beyond_a_gap_do_not_count_for_the_range(
    tmp_path: Path, rows: int, bright_pixels: int
) -> None:
    film = IMAGE.copy()
    film[:rows] = 65535
    film[rows, :bright_pixels] = 40000
    image = decode(make_dicom(tmp_path / "x.dcm", film, bits_stored=16))
    np.testing.assert_allclose(image.pixels[rows + 1 :], REFERENCE[rows + 1 :], atol=2e-3)
    assert (image.pixels[:rows] == 1).all()
    assert image.range_rule == RangeRule.BITS_USED
    assert "0 to 4095" in image.warnings[0]


@pytest.mark.parametrize("rows", [0, 20])
def test_white_of_a_film_without_a_gap_counts_for_the_range(tmp_path: Path, rows: int) -> None:
    film = np.minimum(REFERENCE**3 * 80000, 65535).astype(np.uint16)
    film[:rows] = 65535
    image = decode(make_dicom(tmp_path / "x.dcm", film, bits_stored=16))
    assert (image.range_rule, image.warnings) == (RangeRule.BITS_STORED, ())


@pytest.mark.parametrize("kind", ["Float", "DoubleFloat"])
def test_floats_have_padding_of_their_own(tmp_path: Path, kind: str) -> None:
    film = np.pad(REFERENCE * 2000 + 3000, 20, constant_values=-1e6)
    limit = {f"{kind}PixelPaddingValue": -2e6, f"{kind}PixelPaddingRangeLimit": -1e5}
    image = decode(float_dicom(tmp_path / "x.dcm", film, kind, **limit))
    assert image.pixels.shape == REFERENCE.shape
    np.testing.assert_allclose(image.pixels, REFERENCE * 0.9, atol=0.012)


def test_values_that_overflow_a_little_are_white_of_the_window(tmp_path: Path) -> None:
    levels = REFERENCE**0.4  # mostly bright
    stored = np.rint(levels * 1330).astype(np.uint16)
    image = decode(make_dicom(tmp_path / "x.dcm", stored, bits_stored=10, **window(512, 1024)))
    np.testing.assert_allclose(image.pixels, np.minimum(levels * 1.3, 1), atol=2e-3)


def test_floats_from_0_to_1_need_no_warning(tmp_path: Path) -> None:
    image = decode(float_dicom(tmp_path / "x.dcm", REFERENCE, "Float"))
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=1e-6)
    assert image.warnings == ()


def float_dicom(path: Path, film: NDArray[Any], kind: str, **tags: Any) -> Path:
    pixels = film.astype("f4" if kind == "Float" else "f8")
    dataset = make_dataset(pixels, **tags)
    setattr(dataset, f"{kind}PixelData", pixels.tobytes())
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    return save_dicom(path, dataset)


def test_padding_does_not_count_for_the_range(tmp_path: Path) -> None:
    stored = np.pad(IMAGE // 4, 20, constant_values=4095)
    path = make_dicom(tmp_path / "x.dcm", stored, bits_stored=12, PixelPaddingValue=4095)
    image = decode(path)
    np.testing.assert_allclose(image.pixels, REFERENCE, atol=2e-3)
    assert image.range_rule == RangeRule.BITS_USED
