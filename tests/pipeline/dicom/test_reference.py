"""Grey levels equal those of a plain reading of the standard, pixel by pixel, for any tags."""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.decode.decode import decode
from pipeline.types import RangeRule
from tests.support.data.builders import make_dataset, make_lut, make_picture, save_dicom

ROWS, COLUMNS, BORDER = 32, 36, 5
LEVELS = np.clip((make_picture(ROWS, COLUMNS, top=4095) / 4095 - 0.05) / 0.9, 0, 1)


def stored_value(pattern: int, dataset: Dataset) -> int:
    """PS3.5 8.1.1, PS3.3 C.7.6.3.1.4: the stored bits of a sample, two's complement if signed."""
    bits = dataset.BitsStored
    value = pattern >> (dataset.HighBit + 1 - bits) & ((1 << bits) - 1)
    return value - (1 << bits) if dataset.PixelRepresentation and value >> (bits - 1) else value


def table_value(item: Dataset, value: float) -> int:
    """C.11.1.1: values before the first one have the first entry, those after the last the last."""
    count, first, _ = item.LUTDescriptor
    place = min(max(round(value) - first, 0), (count or 2**16) - 1)
    return int.from_bytes(item.LUTData[2 * place : 2 * place + 2], "little")


def after_modality(value: float, dataset: Dataset) -> float:
    if "ModalityLUTSequence" in dataset:  # C.11.1.1.1
        return table_value(dataset.ModalityLUTSequence[0], value)
    return value * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)  # C.11.1.1.2


def after_voi(x: float, possible: tuple[float, float], dataset: Dataset) -> float:
    """Return a grey level, 0 to 1."""
    if "VOILUTSequence" in dataset:  # C.11.2.1.1
        item = dataset.VOILUTSequence[0]
        return table_value(item, x) / (2 ** item.LUTDescriptor[2] - 1)
    if "WindowWidth" not in dataset:
        return (x - possible[0]) / (possible[1] - possible[0])
    c, w = float(dataset.WindowCenter), float(dataset.WindowWidth)
    if dataset.VOILUTFunction == "SIGMOID":  # C.11.2.1.3.1
        return 1 / (1 + math.exp(-4 * (x - c) / w))
    if dataset.VOILUTFunction == "LINEAR_EXACT":  # C.11.2.1.3.2
        if x <= c - w / 2:
            return 0
        return 1 if x > c + w / 2 else (x - c) / w + 0.5
    if x <= c - 0.5 - (w - 1) / 2:  # C.11.2.1.2.1
        return 0
    return 1 if x > c - 0.5 + (w - 1) / 2 else (x - (c - 0.5)) / (w - 1) + 0.5


def grey_level(pattern: int, dataset: Dataset) -> float:
    bits, is_signed = dataset.BitsStored, dataset.PixelRepresentation
    low = -(1 << (bits - 1)) if is_signed else 0
    ends = [after_modality(end, dataset) for end in (low, low + (1 << bits) - 1)]
    x = after_modality(stored_value(pattern, dataset), dataset)
    grey = after_voi(x, (min(ends), max(ends)), dataset)
    shape = dataset.get("PresentationLUTShape", "IDENTITY")
    is_inverse = dataset.PhotometricInterpretation == "MONOCHROME1" or shape == "INVERSE"
    return 1 - grey if is_inverse else grey  # C.7.6.3.1.2, C.11.6


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """A film that uses its bits, and a window or table that shows most of its values."""
    bits = draw(st.integers(8, 16))
    size = draw(st.sampled_from([2, 4] if bits > 8 else [1, 2, 4]))
    is_padded = bits < min(16, 8 * size) and draw(st.booleans())  # of 16 bits in the tags
    shift = 0 if is_padded else draw(st.integers(0, 8 * size - bits))
    is_signed = draw(st.booleans())
    low = -(2 ** (bits - 1)) if is_signed else 0
    values = np.rint(low + LEVELS * (2**bits - 1)).astype(np.int64)
    patterns = values << shift if shift else values
    if is_padded:
        padding = 2**bits + 7 if not is_signed else low - 7
        patterns = np.pad(patterns, BORDER, constant_values=padding)
    kind = f"{'i' if is_signed else 'u'}{size}"
    dataset = make_dataset(patterns.astype(kind, casting="unsafe"), bits_stored=bits)
    dataset.HighBit = bits - 1 + shift
    if is_padded:
        dataset.PixelPaddingValue = padding
    dataset.PhotometricInterpretation = draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"]))
    if draw(st.booleans()):
        dataset.PresentationLUTShape = draw(st.sampled_from(["IDENTITY", "INVERSE"]))
    _add_modality(draw, dataset, low, bits)
    shown = sorted(after_modality(end, dataset) for end in (low, low + 2**bits - 1))
    _add_voi(draw, dataset, shown[0], shown[1])
    return dataset


def _add_modality(draw: st.DrawFn, dataset: Dataset, low: int, bits: int) -> None:
    if draw(st.booleans()):
        dataset.RescaleSlope = draw(st.sampled_from([1, 0.5, 2, -1, 0.0123, -3.7]))
        dataset.RescaleIntercept = draw(st.sampled_from([0, -1024, 100.5, 32767]))
        return
    ends = sorted(draw(st.lists(st.integers(0, 4000), min_size=2, max_size=2, unique=True)))
    entries = np.linspace(ends[0], ends[1] + 300, 2**bits).astype(np.uint16)
    dataset.ModalityLUTSequence = [make_lut(entries, first=0, bits=16)]
    _set_first(dataset.ModalityLUTSequence[0], low)


def _add_voi(draw: st.DrawFn, dataset: Dataset, low: float, high: float) -> None:
    kind = draw(st.sampled_from(["none", "LINEAR", "LINEAR_EXACT", "SIGMOID", "table"]))
    if kind == "table" and low >= -(2**15) and high < 2**16 and 200 < high - low < 2**15:
        count, bits = math.ceil(high - low), draw(st.sampled_from([8, 10, 12, 16]))
        entries = np.rint(np.linspace(0, 1, count) ** 0.8 * (2**bits - 1)).astype(np.uint16)
        dataset.VOILUTSequence = [make_lut(entries, first=0, bits=bits)]
        _set_first(dataset.VOILUTSequence[0], math.floor(low))
    elif kind not in ("none", "table") and high - low > 20:
        dataset.VOILUTFunction = kind
        place, share = draw(st.floats(0.35, 0.65)), draw(st.floats(0.5, 1.5))
        dataset.WindowCenter = round(low + place * (high - low), 2)
        dataset.WindowWidth = round(share * (high - low), 2)


def _set_first(item: Dataset, first: int) -> None:
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    descriptor = item.LUTDescriptor
    item.LUTDescriptor = [descriptor[0], first, descriptor[2]]


def patterns_of(dataset: Dataset) -> NDArray[Any]:
    shape = (dataset.Rows, dataset.Columns)
    found = np.frombuffer(dataset.PixelData, f"u{dataset.BitsAllocated // 8}").reshape(shape)
    return found[BORDER:-BORDER, BORDER:-BORDER] if "PixelPaddingValue" in dataset else found


@settings(max_examples=60, deadline=None)
@given(dataset=datasets())
def test_grey_levels_are_those_of_the_standard(dataset: Dataset) -> None:
    with tempfile.TemporaryDirectory() as folder:
        image = decode(save_dicom(Path(folder) / "x.dcm", dataset))
    stated = {"VOILUTSequence": RangeRule.TABLE, "WindowWidth": RangeRule.WINDOW}
    rules = [rule for keyword, rule in stated.items() if keyword in dataset]
    assert image.range_rule == (rules[0] if rules else RangeRule.BITS_STORED)
    assert image.warnings == ()
    patterns = patterns_of(dataset)
    known = {int(one): grey_level(int(one), dataset) for one in np.unique(patterns)}
    expected = np.vectorize(lambda one: known[int(one)], otypes=[float])(patterns)
    np.testing.assert_allclose(image.pixels, expected, atol=2e-6)
