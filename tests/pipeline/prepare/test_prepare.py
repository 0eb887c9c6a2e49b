"""Preparing one file: decoded, shrunk and de-identified."""

from pathlib import Path

import numpy as np
import pytest

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


def test_wrong_modality_is_refused_before_decoding(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", Modality="CT", Rows=60000, Columns=60000)
    with pytest.raises(RefusedError, match="not a chest radiograph: Modality"):
        prepare(path)
