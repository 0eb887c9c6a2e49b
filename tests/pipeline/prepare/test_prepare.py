"""Preparing one file: decoded, shrunk and de-identified."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import openjpeg.utils
import pydicom
import pytest
import rle.utils
from pydicom.uid import JPEG2000Lossless, RLELossless

from pipeline.decode.decode import decode
from pipeline.errors import RefusedError
from pipeline.prepare.network_input import network_input
from pipeline.prepare.prepare import prepare
from tests.support.data.builders import make_dicom, make_jpeg, make_picture
from tests.support.imaging.deidentified import KEY, deidentified


def test_prepare_dicom(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", np.stack([make_picture()] * 2))
    prepared = prepare(path, key=KEY)
    np.testing.assert_array_equal(prepared.network_input, network_input(decode(path)))
    assert (prepared.rows, prepared.columns) == (96, 128)
    assert prepared.tags["ViewPosition"] == "PA"
    assert prepared.warnings == ("first of 2 frames read",)
    assert prepared.stored == deidentified(path.read_bytes(), key=KEY)


def test_prepare_jpeg(tmp_path: Path) -> None:
    path = make_jpeg(tmp_path / "x.jpg", make_picture(900, 1000))
    prepared = prepare(path, key=KEY)
    assert (prepared.rows, prepared.columns) == (900, 1000)
    assert prepared.tags == {}
    assert prepared.stored == deidentified(path.read_bytes())


def test_prepare_without_key_does_not_deidentify(tmp_path: Path) -> None:
    assert prepare(make_dicom(tmp_path / "x.dcm")).stored is None
    assert prepare(make_jpeg(tmp_path / "x.jpg")).stored is None


def test_frame_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For reading and for the overlay that the stored copy must not have."""
    deep = make_picture(top=1023)
    deep[10:20, 10:40] |= 0x8000
    path = make_dicom(tmp_path / "x.dcm", deep, transfer_syntax=JPEG2000Lossless)
    dataset = pydicom.dcmread(path)
    dataset.BitsStored, dataset.HighBit = 10, 9
    dataset.save_as(path)
    streams = count_jpeg_2000(monkeypatch)
    stored = prepare(path, key=KEY).stored
    assert stored is not None
    assert pydicom.dcmread(io.BytesIO(stored.blob)).pixel_array.max() == 1023
    assert len(streams) == 1


def test_grey_of_three_samples_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours = np.stack([make_picture()] * 3, axis=-1)
    path = make_dicom(tmp_path / "x.dcm", colours, transfer_syntax=JPEG2000Lossless)
    dataset = pydicom.dcmread(path)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.save_as(path)
    streams = count_jpeg_2000(monkeypatch)
    assert prepare(path, key=KEY).stored is not None
    assert len(streams) == 1


def count_jpeg_2000(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the streams that are decoded from now on."""
    streams = []

    def counted(stream: bytes) -> Any:
        streams.append(stream)
        return openjpeg.utils.decode(stream)

    monkeypatch.setattr("pipeline.dicom.encoding.codecs.decode_by_openjpeg", counted)
    return streams


def test_colours_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For finding out which they are too, and for the stored copy, which is encoded again."""
    colours = np.stack([make_picture()] * 3, axis=-1)
    path = make_dicom(
        tmp_path / "x.dcm", colours, transfer_syntax=RLELossless, PhotometricInterpretation="RGB"
    )
    streams = []

    def counted(stream: bytes, **options: Any) -> Any:
        streams.append(stream)
        return rle.utils.decode_pixel_data(stream, **options)

    monkeypatch.setattr("pipeline.dicom.encoding.codecs.decode_pixel_data", counted)
    assert prepare(path, key=KEY).stored is not None
    assert len(streams) == 1


def test_wrong_modality_is_refused_before_decoding(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", Modality="CT", Rows=60000, Columns=60000)
    with pytest.raises(RefusedError, match="not a chest radiograph: Modality"):
        prepare(path)
