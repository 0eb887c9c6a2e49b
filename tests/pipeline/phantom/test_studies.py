from pathlib import Path

import pytest
from pydicom import dcmread

from pipeline.decode import xmp
from pipeline.decode.decode import decode
from pipeline.dicom import frontal
from pipeline.phantom.studies import write_phantom_studies
from pipeline.prepare.prepare import prepare


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_phantom_studies(tmp_path_factory.mktemp("studies"), studies=8, size=(256, 240))


def test_studies_have_all_formats_and_can_be_decoded(files: list[Path]) -> None:
    assert all(decode(path).rows == 256 for path in files)
    assert {path.suffix for path in files} == {".dcm", ".png", ".jpeg"}
    assert len(files) == 9  # the fifth study has two images
    pngs = {path.read_bytes() for path in files if path.suffix == ".png"}
    assert len(pngs) == 3  # each study and image has its own seed


def test_every_file_is_read_with_a_note_that_it_is_synthetic(files: list[Path]) -> None:
    notes = {path.suffix: decode(path).warnings for path in files}
    assert notes == {
        ".dcm": (frontal.SYNTHETIC,),
        ".png": (xmp.SYNTHETIC,),
        ".jpeg": (xmp.SYNTHETIC,),
    }


def test_dicom_is_marked_as_synthetic(files: list[Path]) -> None:
    datasets = [dcmread(path) for path in files if path.suffix == ".dcm"]
    for dataset in datasets:
        assert "SYNTHETIC" in str(dataset.PatientName)
        assert "SYNTHETIC" in dataset.ImageComments
        assert "SYNTHETIC" in dataset.SeriesDescription
    assert len({d.StudyInstanceUID for d in datasets}) == len(datasets)
    assert {d.PhotometricInterpretation for d in datasets} == {"MONOCHROME1", "MONOCHROME2"}


def test_one_seed_writes_the_same_files(files: list[Path], tmp_path: Path) -> None:
    again = write_phantom_studies(tmp_path, studies=2, size=(256, 240))
    for old, new in zip(files, again, strict=False):
        assert old.read_bytes() == new.read_bytes()


def test_monochrome1_is_inverted(files: list[Path]) -> None:
    """Study 6 is stored as MONOCHROME1; its border must be dark."""
    means = [prepare(path).network_input[:, :6].mean() for path in files if path.suffix == ".dcm"]
    assert max(means) < 120
