"""Grey levels equal those of pydicom, wherever pydicom gives any."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.dicom.description import describe
from pipeline.dicom.grayscale import after_modality, grey_levels
from pipeline.types import RangeRule
from pipeline.value_range import ValueRange
from tests.support.data.builders import make_dataset, make_lut

VALUES = np.arange(4096)
LUT = make_lut(np.linspace(0, 1023, 3000) ** 2 // 1024, first=200, bits=10)

LUT_16 = make_lut(np.arange(4096, dtype=np.uint16)[::-1].copy(), first=0, bits=16)


def by_pydicom(dataset: Dataset, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return grey levels in [0, 1] by pydicom's functions alone."""
    shown = apply_voi_lut(apply_modality_lut(values, dataset), dataset).astype(np.float64)
    low, high = 0.0, 2.0**dataset.BitsStored - 1
    if dataset.PixelRepresentation:
        low, high = -(2.0 ** (dataset.BitsStored - 1)), 2.0 ** (dataset.BitsStored - 1) - 1
    if "ModalityLUTSequence" in dataset:
        low, high = 0.0, 2.0 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    if "VOILUTSequence" in dataset:
        high = 2.0 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif "RescaleSlope" in dataset:
        low, high = (end * dataset.RescaleSlope + dataset.RescaleIntercept for end in (low, high))
    grey = (shown - low) / (high - low)
    return 1 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def own(dataset: Dataset, values: NDArray[Any]) -> NDArray[np.float32]:
    """By the first table or window that is stated, else the whole range."""
    description = describe(dataset)
    low, high = after_modality(np.array(description.stored_range, np.float64), description)
    stated = description.voi_table or next(iter(description.windows), None)
    voi = stated or ValueRange(low, high, RangeRule.BITS_STORED)
    return grey_levels(values.astype(np.float64), description, voi)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    "attributes",
    [
        {"WindowCenter": 2000, "WindowWidth": 1500},
        {"WindowCenter": 2000, "WindowWidth": 1},
        {"WindowCenter": 700.5, "WindowWidth": 333, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 2000, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 0, "WindowWidth": 900, "RescaleSlope": 0.5, "RescaleIntercept": -1024},
        {"VOILUTSequence": [LUT]},
        {"VOILUTSequence": [LUT], "WindowCenter": 5, "WindowWidth": 3},
        {"ModalityLUTSequence": [LUT_16], "VOILUTSequence": [LUT]},
    ],
    ids=lambda attributes: " ".join(attributes),
)
def test_grey_levels_equal_those_of_pydicom(attributes: dict[str, Any], photometric: str) -> None:
    dataset = make_dataset(
        VALUES.reshape(64, 64).astype(np.uint16),
        bits_stored=12,
        PhotometricInterpretation=photometric,
        **attributes,
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    np.testing.assert_allclose(own(dataset, VALUES), by_pydicom(dataset, VALUES), atol=1e-6)


@pytest.mark.shared
def test_grey_levels_of_shared_files_equal_those_of_pydicom(shared_data: Path) -> None:
    compared = 0
    for path in sorted((shared_data / "dicom").glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        if dataset.SamplesPerPixel != 1 or not {"WindowCenter", "VOILUTSequence"} & {
            element.keyword for element in dataset
        }:
            continue
        values = np.unique(dataset.pixel_array)
        expected = by_pydicom(dataset, values)
        np.testing.assert_allclose(own(dataset, values), expected, atol=1e-6, err_msg=path.name)
        compared += 1
    assert compared > 10
