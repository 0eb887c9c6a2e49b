"""Odd attributes get their usual meaning, and a warning that names them."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.dicom.description import Description, describe
from pipeline.dicom.windows import Window
from pipeline.errors import RefusedError
from tests.support.data.builders import make_dataset, make_lut, make_picture

IMAGE = make_picture(top=4095)  # 12 bits in 16


def described(**attributes: Any) -> Description:
    """Values that are not of the attribute's VR are given as text."""
    dataset = make_dataset(IMAGE, bits_stored=12)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in attributes.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            vr = "LO" if isinstance(value, str) else "SQ" if isinstance(value, Sequence) else "FD"
            dataset[keyword] = DataElement(Tag(keyword), vr, value)
    return describe(dataset)


def test_ordinary_image_is_described_without_a_warning() -> None:
    found = described()
    assert (found.rows, found.columns, found.frames, found.samples) == (96, 128, 1, 1)
    assert (found.allocated, found.stored, found.high) == (16, 12, 11)
    assert (found.slope, found.intercept, found.windows) == (1, 0, ())
    assert found.pixel_aspect == 1
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("keyword", "value", "field", "expected", "warning"),
    [
        ("NumberOfFrames", "0", "frames", 1, "is not usable: 1 is assumed"),
        ("NumberOfFrames", "Doe", "frames", 1, "is not usable: 1 is assumed"),
        ("SamplesPerPixel", None, "samples", 1, "is missing: 1 is assumed"),
        ("RescaleSlope", "0", "slope", 1, "is not usable: 1 is assumed"),
        ("RescaleSlope", "1e400", "slope", 1, "is not usable: 1 is assumed"),
        ("RescaleSlope", "1e308", "slope", 1, "is not usable: 1 is assumed"),
        ("RescaleSlope", "Doe", "slope", 1, "is not usable: 1 is assumed"),
        ("RescaleSlope", "2,5", "slope", 2.5, "has a decimal comma: it is read as a decimal point"),
        ("RescaleSlope", [2.0, 3.0], "slope", 2, "has several values: the first is read"),
        ("RescaleIntercept", "nan", "intercept", 0, "is not usable: 0 is assumed"),
        ("RescaleIntercept", "1e300", "intercept", 0, "is not usable: 0 is assumed"),
        ("PixelPaddingValue", "Doe", "padding", None, "is not usable: no padding is assumed"),
        ("HighBit", "7", "high", 11, "is not usable: 11 is assumed"),
        ("HighBit", None, "high", 11, "is missing: 11 is assumed"),
        ("BitsAllocated", None, "allocated", 16, "is missing: 16 is assumed"),
        ("BitsAllocated", "12", "allocated", 16, "is not usable: 16 is assumed"),
        ("PixelRepresentation", "2", "is_signed", False, "is not usable: 0 is assumed"),
        ("PhotometricInterpretation", None, "photometric", "MONOCHROME2", "is missing: MONOCHROM"),
        ("PhotometricInterpretation", "DOE", "photometric", "MONOCHROME2", "is not usable: MONOC"),
        ("PixelAspectRatio", "0", "pixel_aspect", 1, "is not usable: square pixels are assumed"),
    ],
)
def test_odd_attribute_gets_its_usual_meaning_with_a_warning(
    keyword: str, value: Any, field: str, expected: Any, warning: str
) -> None:
    found = described(**{keyword: value})
    assert getattr(found, field) == expected
    assert any(f") {warning}" in one for one in found.warnings)
    assert "Doe" not in str(found.warnings)


@pytest.mark.parametrize("value", [None, "0", "17", "Doe"])
def test_odd_bits_stored_are_those_allocated(value: str | None) -> None:
    found = described(BitsStored=value)
    assert (found.stored, found.high) == (16, 15)
    assert "Bits Stored (0028,0101)" in found.warnings[0]


def test_unknown_window_function_is_linear() -> None:
    window = {"WindowCenter": [2000.0, 5.0], "WindowWidth": [4000.0, 6.0]}
    found = described(VOILUTFunction="SAMPLED_SIGMOID", **window)
    assert found.function == "LINEAR"
    assert found.windows == (Window(2000, 4000), Window(5, 6))
    assert found.warnings == ("VOI LUT Function (0028,1056) is not usable: LINEAR is assumed",)
    assert described(VOILUTFunction="SAMPLED_SIGMOID").warnings == ()


@pytest.mark.parametrize(
    ("attributes", "aspect"),
    [
        ({"PixelAspectRatio": [2.0, 1.0]}, 2),
        ({"PixelSpacing": [0.1, 0.2]}, 0.5),
        ({"ImagerPixelSpacing": [0.1434, 0.1431]}, 1),
        ({"NominalScannedPixelSpacing": [0.3, 0.1]}, 3),
        ({"PixelAspectRatio": [2.0, 1.0], "PixelSpacing": [0.1, 0.1]}, 2),
        ({"PixelAspectRatio": [100.0, 1.0], "PixelSpacing": [0.3, 0.1]}, 3),
    ],
)
def test_pixel_aspect(attributes: dict[str, Any], aspect: float) -> None:
    assert described(**attributes).pixel_aspect == pytest.approx(aspect)


def groups(**macros: dict[str, Any]) -> Sequence:
    """Return a functional groups sequence for one frame: macros by their sequence's keyword."""
    frame = Dataset()
    for keyword, attributes in macros.items():
        item = Dataset()
        for name, value in attributes.items():
            setattr(item, name, value)
        setattr(frame, keyword, [item])
    return Sequence([frame])


WINDOW = {"WindowCenter": 2048, "WindowWidth": 1500, "VOILUTFunction": "SIGMOID"}


def test_functional_groups_are_read_per_frame_first() -> None:
    found = described(
        WindowCenter=[5.0],
        WindowWidth=[6.0],
        RescaleSlope=[9.0],
        PerFrameFunctionalGroupsSequence=groups(FrameVOILUTSequence=WINDOW),
        SharedFunctionalGroupsSequence=groups(
            FrameVOILUTSequence={"WindowCenter": 1, "WindowWidth": 2},
            PixelValueTransformationSequence={"RescaleSlope": 2, "RescaleIntercept": -7},
            PixelMeasuresSequence={"PixelSpacing": [0.4, 0.2]},
        ),
    )
    assert (found.windows, found.function) == ((Window(2048, 1500),), "SIGMOID")
    assert (found.slope, found.intercept, found.pixel_aspect) == (2, -7, 2)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("centres", "widths", "windows", "named"),
    [
        (["", 2048.0], [256.0, 4096.0], [(2048, 4096)], ["Window Center (0028,1050)"]),
        ([128.0, 2048.0], ["", 4096.0], [(2048, 4096)], ["Window Width (0028,1051)"]),
        (["", 2048.0], ["", 4096.0], [(2048, 4096)], ["Window Center", "Window Width"]),
        ([2048.0, ""], [4096.0], [(2048, 4096)], ["Window Center", "Window Width"]),
        ([2048.0], [4096.0, 256.0], [(2048, 4096)], ["Window Center"]),
        ([128.0, 2048.0, 512.0], [256.0, 4096.0], [(128, 256), (2048, 4096)], ["Window Width"]),
        ([2048.0], None, [], ["Window Width"]),
        (["", ""], [""], [], []),
    ],
)
def test_windows_without_centre_or_width_are_left_out(
    centres: list[Any], widths: Any, windows: list[tuple[float, float]], named: list[str]
) -> None:
    texts = [values and [str(value) for value in values] for values in (centres, widths)]
    found = described(WindowCenter=texts[0], WindowWidth=texts[1])
    assert found.windows == tuple(Window(*window) for window in windows)
    assert len(found.warnings) == len(named)
    for warning, name in zip(found.warnings, named, strict=True):
        assert warning.startswith(name)
        assert warning.endswith(" lacks a value: windows without it are left out")


@pytest.mark.parametrize(
    "bad",
    [
        {"WindowCenter": 2048, "WindowWidth": 0},
        {"WindowCenter": 2048, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 2048},
        {"VOILUTFunction": "SIGMOID"},
    ],
    ids=str,
)
def test_window_outside_functional_groups_is_read_where_theirs_is_bad(bad: dict[str, Any]) -> None:
    found = described(
        WindowCenter=[5.0],
        WindowWidth=[6.0],
        PerFrameFunctionalGroupsSequence=groups(FrameVOILUTSequence=bad),
    )
    assert (found.windows, found.function) == ((Window(5, 6),), "LINEAR")
    assert [one[:12] for one in found.warnings] == ["Window Width"] * ("WindowCenter" in bad)


def test_windows_outside_functional_groups_come_after_theirs() -> None:
    group = groups(FrameVOILUTSequence={"WindowCenter": 128, "WindowWidth": 256})
    found = described(WindowCenter=[5.0], WindowWidth=[6.0], SharedFunctionalGroupsSequence=group)
    assert (found.windows, found.warnings) == ((Window(128, 256), Window(5, 6)), ())


def test_table_in_functional_groups_is_read() -> None:
    table = make_lut(np.arange(4096, dtype=np.uint16), first=0, bits=12)
    group = groups(FrameVOILUTSequence={"VOILUTSequence": [table]})
    found = described(SharedFunctionalGroupsSequence=group)
    assert found.voi_table is not None
    assert len(found.voi_table.entries) == 4096


def test_empty_functional_groups_are_ignored() -> None:
    found = described(
        WindowCenter=[5.0],
        WindowWidth=[6.0],
        PerFrameFunctionalGroupsSequence=Sequence([Dataset()]),
        SharedFunctionalGroupsSequence=Sequence([]),
    )
    assert found.windows == (Window(5, 6),)


@pytest.mark.parametrize(
    ("photometric", "shape", "is_inverse"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME1", "INVERSE", True),
    ],
)
def test_presentation_lut_shape_inverts_once(
    photometric: str, shape: str | None, is_inverse: bool
) -> None:
    found = described(PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    assert found.is_inverse == is_inverse


def test_unknown_presentation_lut_shape_is_identity() -> None:
    found = described(PresentationLUTShape="Doe")
    assert not found.is_inverse
    assert "Presentation LUT Shape (2050,0020) is not usable: IDENTITY" in found.warnings[0]


@pytest.mark.parametrize("term", ["CMYK", "ARGB"])
def test_photometric_interpretations_that_no_radiograph_has_are_refused(term: str) -> None:
    with pytest.raises(RefusedError, match=f"Photometric Interpretation .* is {term}"):
        described(PhotometricInterpretation=term)
