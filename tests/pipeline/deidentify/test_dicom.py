"""DICOM without identifying values; see test_attributes for each attribute."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from pipeline.decode.decode import decode, decode_content
from pipeline.errors import RefusedError
from pipeline.pseudonym import pseudonymous_uid
from tests.support.data.builders import (
    make_dataset,
    make_dicom,
    make_lut,
    make_picture,
    save_dicom,
)
from tests.support.imaging.deidentified import (
    KEY,
    NAME,
    deidentified,
    deidentified_dataset,
    without_name,
)

IDENTIFYING = (
    *("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "PatientAddress"),
    *("AccessionNumber", "InstitutionName", "ReferringPhysicianName", "OperatorsName"),
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
    *("StudyDate", "StudyDescription", "StationName"),
)
IMAGE = make_picture()


def test_attributes_that_reading_needs_are_kept(tmp_path: Path) -> None:
    birthday_behind = [0.2, 0.2, 19700131]
    path = make_dicom(
        tmp_path / "x.dcm",
        PixelSpacing=[0.2, 0.2],
        NominalScannedPixelSpacing=[0.3, 0.1],
        ImagerPixelSpacing=birthday_behind,
    )
    kept = deidentified_dataset(path.read_bytes())
    assert (kept.Modality, kept.BodyPartExamined, kept.ViewPosition) == ("CR", "CHEST", "PA")
    assert kept.PixelSpacing == [0.2, 0.2]
    assert kept.NominalScannedPixelSpacing == [0.3, 0.1]
    assert "ImagerPixelSpacing" not in kept
    assert kept.PixelData == pydicom.dcmread(path).PixelData


def test_names_in_meta_information_and_preamble_are_removed(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", IMAGE)
    dataset = pydicom.dcmread(path)
    dataset.preamble = NAME.ljust(128, b"\0")
    dataset.file_meta.ImplementationVersionName = NAME.decode()
    dataset.file_meta.SourceApplicationEntityTitle = NAME.decode()
    dataset.file_meta.SendingApplicationEntityTitle = NAME.decode()
    dataset.file_meta.PrivateInformationCreatorUID = UID("1.2.3")
    dataset.file_meta.PrivateInformation = NAME
    dataset.save_as(path)
    assert path.read_bytes().count(NAME) == 5
    assert NAME not in deidentified(path.read_bytes()).blob


def test_names_in_tables_and_trailing_bytes_are_removed(tmp_path: Path) -> None:
    table = make_lut(np.arange(256), first=0, bits=8)
    table.LUTData += NAME
    table.LUTExplanation = NAME.decode()
    dataset = make_dataset(IMAGE, VOILUTSequence=[table], ICCProfile=NAME)
    dataset.PixelData += NAME
    dataset.DataSetTrailingPadding = NAME
    without_name(save_dicom(tmp_path / "x.dcm", dataset).read_bytes())


def test_files_without_identifiers_are_not_grouped(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", PatientID="")
    dataset = pydicom.dcmread(path)
    del dataset.StudyInstanceUID, dataset.SOPInstanceUID
    dataset.save_as(path)
    result = deidentified(path.read_bytes())
    kept = pydicom.dcmread(io.BytesIO(result.blob))
    assert (result.patient_hash, result.study_uid_hash) == (None, None)
    assert "StudyInstanceUID" not in kept
    assert kept.SOPInstanceUID.startswith("2.25.")


def test_files_without_sop_instance_uid_have_pseudonyms_of_their_pixels(tmp_path: Path) -> None:
    """Of floats too; the pseudonym of integers is that of the first release."""
    picture, uids = make_picture(40, 40), set()
    of_integers = make_dataset(picture, SOPInstanceUID="")
    files = [of_integers]
    for kind, keyword in (("f4", "FloatPixelData"), ("f8", "DoubleFloatPixelData")):
        for shape in ((40, 40), (32, 50)):
            dataset = make_dataset(picture.reshape(shape), SOPInstanceUID="", PixelData=None)
            setattr(dataset, keyword, picture.astype(kind).tobytes())
            files.append(dataset)
            dataset = make_dataset(picture.reshape(shape), SOPInstanceUID="", PixelData=None)
            setattr(dataset, keyword, (picture + 1).astype(kind).tobytes())
            files.append(dataset)
    for dataset in files:
        dataset.save_as(tmp_path / "x.dcm", implicit_vr=False, little_endian=True)
        content = (tmp_path / "x.dcm").read_bytes()
        uids.add(deidentified(content).sop_instance_uid)
    assert len(uids) == len(files)
    digest = hashlib.sha256(of_integers.PixelData).hexdigest()
    assert pseudonymous_uid(KEY, digest) in uids


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGBaseline8Bit])
def test_pixels_and_transfer_syntax_stay_the_same(tmp_path: Path, syntax: str) -> None:
    path = make_dicom(
        tmp_path / "x.dcm",
        PhotometricInterpretation="MONOCHROME1",
        transfer_syntax=syntax,
        VOILUTSequence=[make_lut(np.arange(256) ** 2 // 256, first=0, bits=8)],
    )
    blob = deidentified(path.read_bytes()).blob
    np.testing.assert_array_equal(decode_content(blob).pixels, decode(path).pixels)
    assert pydicom.dcmread(io.BytesIO(blob)).file_meta.TransferSyntaxUID == syntax


def test_no_identifying_value_of_the_shared_files_is_left(shared_data: Path) -> None:
    checked = 0
    for path in sorted((shared_data / "dicom").iterdir()):
        if path.suffix == ".csv":
            continue
        dataset = pydicom.dcmread(path, force=True)
        content = deidentified(path.read_bytes()).blob
        values = {str(dataset[k].value) for k in IDENTIFYING if k in dataset}
        # Short numbers occur by chance among pixels; the attributes themselves are gone.
        for value in (value for value in values if len(value) >= 6):
            assert value.encode() not in content, path.name
            checked += 1
        after = decode_content(content)
        np.testing.assert_array_equal(after.pixels, decode(path).pixels, path.name)
    assert checked > 50


def test_identifier_of_endless_length_is_refused(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", PatientID="1" * 1025)
    with pytest.raises(RefusedError, match=r"Patient ID \(0010,0020\) is too long"):
        deidentified(path.read_bytes())
