"""Every stored copy is read like its source: the same pixels, by the same rules.

Films are made in all encodings and with all attributes that decide on grey levels.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
)

from pipeline.decode.decode import decode_content
from pipeline.errors import RefusedError
from pipeline.types import Deidentified, RangeRule
from tests.support.data.builders import encoded, make_dataset, make_lut, make_picture
from tests.support.imaging.deidentified import deidentified
from tests.support.imaging.encodings import NATIVE, RLE, STREAMS
from tests.support.imaging.jpeg12 import encode_jpeg12
from tests.support.imaging.streams import HTJ2K_PIXELS, HTJ2K_STREAM, written

SHAPE = (41, 43)  # odd, so that frames of bytes have an odd length
DEEP = make_picture(top=4095)
EVEN = (40, 44)  # for GDCM, which encodes no others


def assert_read_alike(content: bytes) -> Deidentified:
    stored = deidentified(content)
    source, copy = (decode_content(one) for one in (content, stored.blob))
    np.testing.assert_array_equal(copy.pixels, source.pixels, strict=True)
    assert (copy.rows, copy.columns, copy.frames) == (source.rows, source.columns, source.frames)
    assert copy.range_rule == source.range_rule
    assert copy.tags.items() >= source.tags.items()
    assert copy.pixel_aspect == pytest.approx(source.pixel_aspect)
    assert set(copy.warnings) <= set(source.warnings)
    return stored


def samples(kind: str, shape: tuple[int, int] = SHAPE) -> NDArray[Any]:
    """Return a picture of integers by numpy's type, from the least to the greatest value."""
    picture = make_picture(*shape, top=65535)
    bits = 8 * np.dtype(kind).itemsize
    values = picture.astype(np.int64) * (2**bits - 1) // 65535
    return (values - 2 ** (bits - 1) * (kind[0] == "i")).astype(kind)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("encoding", NATIVE)
def test_native_samples(encoding: str, frames: int, kind: str, tmp_path: Path) -> None:
    pixels = samples(kind)
    stack = np.stack([np.roll(pixels, index) for index in range(frames)])
    content = NATIVE[encoding](make_dataset(stack[0] if frames == 1 else stack), tmp_path)
    copy = pydicom.dcmread(io.BytesIO(assert_read_alike(content).blob))
    assert copy.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    np.testing.assert_array_equal(copy.pixel_array, np.squeeze(stack))


@pytest.mark.parametrize(
    ("kind", "frames"), [("u1", 1), ("u1", 2), ("u2", 1), ("u2", 2), ("i2", 1)]
)
@pytest.mark.parametrize("encoding", RLE | STREAMS)
def test_coded_samples(encoding: str, frames: int, kind: str, tmp_path: Path) -> None:
    pixels = samples(kind, EVEN)
    stack = np.stack([np.roll(pixels, index) for index in range(frames)])
    encode = (RLE | STREAMS)[encoding]
    content = encode(make_dataset(stack[0] if frames == 1 else stack), tmp_path)
    copy = pydicom.dcmread(io.BytesIO(assert_read_alike(content).blob))
    source = pydicom.dcmread(io.BytesIO(content))
    assert copy.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
    np.testing.assert_array_equal(copy.pixel_array, source.pixel_array)


numbers = st.sampled_from(["0", "1", "-1", "0.5", "-2", "1,5", "1e400", "Doe", "", ["1", "2"]])
tables = st.builds(
    make_lut,
    st.integers(1, 300).map(lambda count: np.arange(count) ** 2 % 4096),
    first=st.sampled_from([0, 1, 20, 60000]),
    bits=st.sampled_from([8, 12, 16, 0]),
)
ATTRIBUTES: dict[str, st.SearchStrategy[Any]] = {
    "PhotometricInterpretation": st.sampled_from(["MONOCHROME1", "monochrome2", "DOE JANE", None]),
    "RescaleSlope": numbers,
    "RescaleIntercept": numbers,
    "WindowCenter": st.sampled_from(["2000", ["100", "2000"], ["1e9", "30"], "Doe", ["Doe", "90"]]),
    "WindowWidth": st.sampled_from(["4000", ["150", "300"], "0", "0,5", ["1", "1000"]]),
    "VOILUTFunction": st.sampled_from(["SIGMOID", "LINEAR_EXACT", "SAMPLED_SIGMOID", "DOE"]),
    "ModalityLUTSequence": st.lists(tables, max_size=2),
    "VOILUTSequence": st.lists(tables, max_size=2),
    "PixelPaddingValue": st.sampled_from(["0", "-1", "4095", "65535", "70000", "0.5", "Doe"]),
    "PixelPaddingRangeLimit": st.sampled_from(["0", "20", "-30", "4000"]),
    "PixelAspectRatio": st.sampled_from([["2", "1"], ["1.5", "1"], ["0", "1"], ["1", "9"], "2"]),
    "PixelSpacing": st.sampled_from([["0.1", "0.2"], ["0,1", "0.2"], ["0.2", "0.2", "5"], "12"]),
    "ImagerPixelSpacing": st.sampled_from([["0.3", "0.1"], ["0.2", "-0.2"]]),
    "NominalScannedPixelSpacing": st.sampled_from([["0.1", "0.2"], ["0.2", "0.2"]]),
    "PresentationLUTShape": st.sampled_from(["IDENTITY", "INVERSE"]),
    "NumberOfFrames": st.sampled_from(["0", "1", "Doe"]),
    "PixelRepresentation": st.sampled_from(["0", "1", "2"]),
    "BitsStored": st.sampled_from(["8", "10", "12", "16", "99", None]),
    "HighBit": st.sampled_from(["7", "9", "11", "15", "99", None]),
    "LossyImageCompression": st.sampled_from(["00", "01"]),
}


@settings(max_examples=120)
@given(
    kind=st.sampled_from(["u1", "u2", "i2", "u4"]),
    shift=st.integers(0, 6),
    encoding=st.sampled_from([*NATIVE, *RLE, *STREAMS]),
    attributes=st.fixed_dictionaries({}, optional=ATTRIBUTES),
)
def test_odd_attributes(
    kind: str, shift: int, encoding: str, attributes: dict[str, Any], tmp_path_factory: Any
) -> None:
    """Text in place of numbers, tables and windows of any kind: whatever reading made of them."""
    folder = tmp_path_factory.getbasetemp()
    dataset = make_dataset(samples(kind, EVEN) >> shift)
    if encoding in NATIVE:
        content = NATIVE[encoding](changed(dataset, attributes), folder)
    else:
        assume(kind != "u4")
        coded = pydicom.dcmread(io.BytesIO((RLE | STREAMS)[encoding](dataset, folder)))
        target = io.BytesIO()
        changed(coded, attributes).save_as(target)
        content = target.getvalue()
    try:
        decode_content(content)
    except RefusedError:
        return
    assert_read_alike(content)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422", "PALETTE COLOR"])
@pytest.mark.parametrize("encoding", [*NATIVE, *RLE])
def test_colours(encoding: str, photometric: str, tmp_path: Path) -> None:
    grey = make_picture(*EVEN)
    colours = np.stack([grey, np.roll(grey, 3), 255 - grey], axis=-1)
    dataset = make_dataset(colours, PhotometricInterpretation=photometric)
    if photometric == "YBR_FULL_422":  # Y Y Cb Cr of two pixels, PS3.3 C.7.6.3.1.2
        if encoding in RLE:
            pytest.skip("RLE is never subsampled")
        two = colours.reshape(-1, 2, 3)
        dataset.PixelData = np.column_stack([two[:, :, 0], two[:, 0, 1:]]).tobytes()
    elif photometric == "PALETTE COLOR":
        dataset = make_dataset(grey, PhotometricInterpretation=photometric)
        for colour, shift in (("Red", 0), ("Green", 40), ("Blue", 90)):
            keyword = f"{colour}PaletteColorLookupTable"
            table = (np.roll(np.arange(256), shift) * 257).astype("<u2")
            is_big = encoding.startswith("big")
            dataset.add_new(Tag(f"{keyword}Descriptor"), "US", [256, 0, 16])
            dataset.add_new(
                Tag(f"{keyword}Data"), "OW", (table.byteswap() if is_big else table).tobytes()
            )
    stored = assert_read_alike((NATIVE | RLE)[encoding](dataset, tmp_path))
    assert pydicom.dcmread(io.BytesIO(stored.blob)).pixel_array.shape[:2] == EVEN


GREY_LEVELS: list[dict[str, Any]] = [
    {},
    {"PhotometricInterpretation": "MONOCHROME1"},
    {"PixelRepresentation": 1},
    {"RescaleSlope": "-1", "RescaleIntercept": "4095"},
    {"WindowCenter": "2000", "WindowWidth": "3000"},
    {"PixelPaddingValue": 0},
]


@pytest.mark.parametrize("attributes", GREY_LEVELS)
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit, HTJ2KLossless])
def test_streams_that_pydicom_does_not_write(syntax: str, attributes: dict[str, Any]) -> None:
    pixels, stream, bits = {
        JPEGBaseline8Bit: (make_picture(), encoded(make_picture(), "JPEG"), 8),
        JPEGExtended12Bit: (DEEP, encode_jpeg12(DEEP), 12),
        HTJ2KLossless: (HTJ2K_PIXELS, HTJ2K_STREAM, 12),
    }[UID(syntax)]
    value = encapsulate([stream])
    stored = assert_read_alike(
        written(value, syntax, pixels=pixels, bits_stored=bits, **attributes)
    )
    assert pydicom.dcmread(io.BytesIO(stored.blob)).file_meta.TransferSyntaxUID == syntax


# Nobody is known to exchange the bytes of words of 16 single bits; pydicom does not.
@pytest.mark.parametrize("encoding", [one for one in NATIVE if one != "big endian OW"])
def test_single_bits(encoding: str, tmp_path: Path) -> None:
    pixels = make_picture(*EVEN) > 128
    dataset = make_dataset(BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.Rows, dataset.Columns = EVEN
    dataset.PixelData = np.packbits(pixels, bitorder="little").tobytes()
    stored = assert_read_alike(NATIVE[encoding](dataset, tmp_path))
    np.testing.assert_array_equal(pydicom.dcmread(io.BytesIO(stored.blob)).pixel_array, pixels)


@pytest.mark.parametrize("attributes", GREY_LEVELS)
@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
@pytest.mark.parametrize("encoding", NATIVE)
def test_floats(encoding: str, keyword: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    kind, bits = ("<f4", 32) if keyword == "FloatPixelData" else ("<f8", 64)
    dataset = make_dataset(PixelData=None, BitsStored=None, HighBit=None, **attributes)
    dataset.BitsAllocated = bits
    setattr(dataset, keyword, make_picture(top=4095).astype(kind).tobytes())
    assert_read_alike(NATIVE[encoding](dataset, tmp_path))


@pytest.mark.parametrize("place", ["Shared", "PerFrame"])
def test_functional_groups(place: str, tmp_path: Path) -> None:
    window, rescaling, spacing, groups = (Dataset() for _ in range(4))
    window.WindowCenter, window.WindowWidth = "1500", "3000"
    rescaling.RescaleSlope, rescaling.RescaleIntercept = "-1", "4000"
    spacing.PixelSpacing = ["0.2", "0.1"]
    groups.FrameVOILUTSequence = [window]
    groups.PixelValueTransformationSequence = [rescaling]
    groups.PixelMeasuresSequence = [spacing]
    dataset = make_dataset(DEEP, bits_stored=12)
    setattr(dataset, f"{place}FunctionalGroupsSequence", [groups])
    content = NATIVE["explicit"](dataset, tmp_path)
    image = decode_content(content)
    assert (image.range_rule, image.pixel_aspect) == (RangeRule.WINDOW, 2)
    assert_read_alike(content)


def test_every_window_is_kept(tmp_path: Path) -> None:
    """The second is read, as the first does not fit the values."""
    windows: dict[str, Any] = {"WindowCenter": ["90000", "2000"], "WindowWidth": ["30", "3000"]}
    pixels = make_picture(*EVEN, top=4095)
    content = NATIVE["explicit"](make_dataset(pixels, bits_stored=12, **windows), tmp_path)
    stored = assert_read_alike(content)
    assert pydicom.dcmread(io.BytesIO(stored.blob)).WindowCenter == [90000, 2000]


@pytest.mark.parametrize(("kind", "size"), [("Float", "f4"), ("DoubleFloat", "f8")])
@pytest.mark.parametrize("limit", [-1e5, -1e300])
def test_padding_of_floats_is_kept(limit: float, kind: str, size: str, tmp_path: Path) -> None:
    pixels = np.pad(samples("u2") + 3000.0, 5, constant_values=-1e6).astype(size)
    dataset = make_dataset(pixels, PixelData=None, BitsStored=None, HighBit=None)
    setattr(dataset, f"{kind}PixelData", pixels.tobytes())
    setattr(dataset, f"{kind}PixelPaddingValue", -2e6)
    dataset.add_new(Tag(f"{kind}PixelPaddingRangeLimit"), "FD", limit)
    stored = assert_read_alike(NATIVE["explicit"](dataset, tmp_path))
    assert pydicom.dcmread(io.BytesIO(stored.blob))[f"{kind}PixelPaddingRangeLimit"].value <= -1e5


def test_warnings_of_origin_and_intent_are_kept(tmp_path: Path) -> None:
    dataset = make_dataset(
        ConversionType="DF",
        RecognizableVisualFeatures="YES",
        PresentationIntentType="FOR PROCESSING",
        QualityControlImage="YES",
        SyntheticData="YES",
    )
    content = NATIVE["explicit"](dataset, tmp_path)
    source, copy = (decode_content(one) for one in (content, deidentified(content).blob))
    assert len(source.warnings) == 5
    assert copy.warnings == source.warnings


def changed(dataset: Dataset, attributes: dict[str, Any]) -> Dataset:
    for keyword, value in attributes.items():
        dataset.pop(keyword, None)
        if value is not None:
            vr = "SQ" if keyword.endswith("Sequence") else "LO"
            dataset.add_new(Tag(keyword), vr, value)
    return dataset
