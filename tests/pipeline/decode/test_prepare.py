"""One file, everything at once."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.decode.decode import decode
from pipeline.decode.network_input import network_input
from pipeline.decode.prepare import prepare
from pipeline.deidentify.deidentify import deidentify
from pipeline.errors import RefusedError
from tests.support.data.builders import make_dicom, make_jpeg, make_picture

KEY = b"an invented key"


def test_dicom(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", np.stack([make_picture()] * 2))
    prepared = prepare(path, key=KEY)
    np.testing.assert_array_equal(prepared.network_input, network_input(decode(path)))
    assert (prepared.rows, prepared.columns, prepared.frames) == (96, 128, 2)
    assert prepared.media_type == "application/dicom"
    assert prepared.tags["ViewPosition"] == "PA"
    assert prepared.warnings == ("first of 2 frames read",)
    assert prepared.deidentified == deidentify(path, media_type=prepared.media_type, key=KEY)


def test_jpeg(tmp_path: Path) -> None:
    path = make_jpeg(tmp_path / "x.jpg", make_picture(900, 1000))
    prepared = prepare(path, key=KEY)
    assert (prepared.rows, prepared.columns) == (900, 1000)
    assert prepared.tags == {}
    assert prepared.deidentified is not None
    assert prepared.deidentified.content[:2] == b"\xff\xd8"


def test_without_a_key_nothing_is_deidentified(tmp_path: Path) -> None:
    assert prepare(make_dicom(tmp_path / "x.dcm")).deidentified is None
    assert prepare(make_jpeg(tmp_path / "x.jpg")).deidentified is None


def test_wrong_modality_is_refused_before_its_pixels_are_decoded(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", Modality="CT", Rows=60000, Columns=60000)
    with pytest.raises(RefusedError, match="not a chest radiograph: Modality"):
        prepare(path)
