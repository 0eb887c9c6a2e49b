"""Nothing that names the patient is left, and the picture stays the same."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from pipeline.decode.decode import decode
from pipeline.files.sniff import HEAD_BYTES, sniff
from tests.support.data.builders import (
    INVENTED_PATIENT,
    encoded,
    jpeg_with,
    make_dataset,
    make_dicom,
    make_lut,
    make_picture,
    make_raster,
    png_chunk,
    png_with,
    save_dicom,
)
from tests.support.imaging.deidentified import deidentified

IDENTIFYING = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "OtherPatientIDs",
    "AccessionNumber",
    "InstitutionName",
    "ReferringPhysicianName",
    "OperatorsName",
    "PatientAddress",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "StudyDate",
    "StudyDescription",
    "StationName",
)


def stored(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def make_identified(path: Path, **attributes: Any) -> Path:
    dataset = make_dataset(make_picture(), **INVENTED_PATIENT | attributes)
    block = dataset.private_block(0x0009, "INVENTED MAKER", create=True)
    block.add_new(0x01, "LO", "Testperson in a private element")
    dataset.add_new(0x60003000, "OW", b"Testperson in an overlay")
    dataset.RequestAttributesSequence = [Dataset()]
    dataset.RequestAttributesSequence[0].RequestedProcedureDescription = "of Testperson"
    dataset.ImageComments = "Testperson"
    save_dicom(path, dataset)
    content = path.read_bytes()
    return stored(path, b"Testperson in the preamble".ljust(128) + content[128:])


def test_no_identifying_value_is_left(tmp_path: Path) -> None:
    path = make_identified(tmp_path / "x.dcm")
    for value in (b"Testperson", b"19010203"):
        assert value in path.read_bytes()
    content = deidentified(path.read_bytes()).blob
    for value in (b"Testperson", b"INVENTED", b"Invented", b"19010203", b"Referrer"):
        assert value not in content
    kept = pydicom.dcmread(io.BytesIO(content))
    assert not any(element.tag.is_private for element in kept)
    assert kept.PatientIdentityRemoved == "YES"
    assert "PS3.15" in kept.DeidentificationMethod


def test_what_reading_needs_is_left(tmp_path: Path) -> None:
    path = make_identified(
        tmp_path / "x.dcm", PatientAge="095Y", PatientSex="F", PixelSpacing=[0.2, 0.2]
    )
    kept = pydicom.dcmread(io.BytesIO(deidentified(path.read_bytes()).blob))
    assert (kept.Modality, kept.BodyPartExamined, kept.ViewPosition) == ("CR", "CHEST", "PA")
    assert kept.PatientSex == ""  # it stays with the image's row in the database
    assert "PatientAge" not in kept
    assert kept.PixelSpacing == [0.2, 0.2]
    assert kept.PixelData == pydicom.dcmread(path).PixelData


def test_free_text_in_a_code_string_is_dropped(tmp_path: Path) -> None:
    path = make_dicom(
        tmp_path / "x.dcm", BodyPartExamined="chest of J. Doe", PresentationLUTShape="J. Doe's"
    )
    assert b"Doe" in path.read_bytes()
    assert b"Doe" not in deidentified(path.read_bytes()).blob


def test_hashes_group_by_patient_and_depend_on_the_key(tmp_path: Path) -> None:
    first = deidentified(
        make_dicom(tmp_path / "1.dcm", PatientID="A", StudyInstanceUID="1.2.3").read_bytes()
    )
    again = deidentified(
        make_dicom(tmp_path / "2.dcm", PatientID="A", StudyInstanceUID="1.2.4").read_bytes()
    )
    other = deidentified(
        make_dicom(tmp_path / "3.dcm", PatientID="B", StudyInstanceUID="1.2.3").read_bytes()
    )
    keyed = deidentified((tmp_path / "1.dcm").read_bytes(), key=b"another key")
    assert first.patient_hash == again.patient_hash != other.patient_hash
    assert first.study_uid_hash == other.study_uid_hash != again.study_uid_hash
    assert keyed.patient_hash not in (None, first.patient_hash)
    assert keyed.study_uid_hash not in (None, first.study_uid_hash)


def test_no_identifier_means_no_hash(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm", PatientID="")
    assert deidentified(path.read_bytes()).patient_hash is None
    assert deidentified(make_raster(tmp_path / "x.png").read_bytes()).patient_hash is None


def test_uids_are_replaced_the_same_way_in_every_file(tmp_path: Path) -> None:
    uids = []
    for name in ("1", "2"):
        path = make_dicom(tmp_path / f"{name}.dcm", StudyInstanceUID="1.2.3.4")
        uids.append(
            pydicom.dcmread(io.BytesIO(deidentified(path.read_bytes()).blob)).StudyInstanceUID
        )
    assert uids[0] == uids[1]
    assert uids[0].startswith("2.25.")
    assert uids[0].is_valid


def test_files_without_uids_are_not_grouped(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "x.dcm")
    dataset = pydicom.dcmread(path)
    del dataset.StudyInstanceUID, dataset.SOPInstanceUID
    dataset.save_as(path)
    result = deidentified(path.read_bytes())
    kept = pydicom.dcmread(io.BytesIO(result.blob))
    assert result.study_uid_hash is None
    assert "StudyInstanceUID" not in kept
    assert kept.SOPInstanceUID.startswith("2.25.")


def test_comments_inside_encapsulated_jpeg_are_cut_out(tmp_path: Path) -> None:
    from pydicom.encaps import encapsulate

    path = make_dicom(tmp_path / "x.dcm", transfer_syntax=JPEGBaseline8Bit)
    dataset = pydicom.dcmread(path)
    jpeg = jpeg_with(encoded(make_picture(), "JPEG"), marker=0xFE, body=b"of Jane Doe")
    dataset.PixelData = encapsulate([jpeg])
    dataset.save_as(path)
    content = deidentified(path.read_bytes()).blob
    assert b"Jane Doe" not in content
    np.testing.assert_array_equal(
        decode(stored(tmp_path / "y.dcm", content)).pixels, decode(path).pixels
    )


def test_bytes_behind_the_pixels_are_cut_off(tmp_path: Path) -> None:
    pixels = make_picture()
    path = make_dicom(tmp_path / "x.dcm", pixels, PixelData=pixels.tobytes() + b"Jane Doe")
    assert b"Jane Doe" not in deidentified(path.read_bytes()).blob


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGBaseline8Bit])
def test_dicom_picture_stays_the_same(tmp_path: Path, syntax: str) -> None:
    path = make_dicom(
        tmp_path / "x.dcm",
        PhotometricInterpretation="MONOCHROME1",
        transfer_syntax=syntax,
        VOILUTSequence=[make_lut(np.arange(256) ** 2 // 256, first=0, bits=8)],
    )
    after = decode(stored(tmp_path / "y.dcm", deidentified(path.read_bytes()).blob))
    np.testing.assert_array_equal(after.pixels, decode(path).pixels)
    assert pydicom.dcmread(tmp_path / "y.dcm").file_meta.TransferSyntaxUID == syntax


def pictures_with_metadata(folder: Path) -> Iterator[Path]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Jane Doe"
    picture = Image.fromarray(make_picture())
    yield make_raster(folder / "exif.jpg", exif=exif, comment=b"Jane Doe", quality=90)
    text = PngInfo()
    text.add_text("Patient", "Jane Doe")
    text.add_itxt("Patient", "Jane Doe", zip=True)
    picture.save(folder / "text.png", pnginfo=text, exif=exif)
    yield folder / "text.png"
    picture.convert("P").save(folder / "palette.png", pnginfo=text, transparency=0)
    yield folder / "palette.png"
    for mode in ("CMYK", "RGB"):
        picture.convert(mode).save(folder / f"{mode}.jpg", exif=exif, icc_profile=b"Jane Doe")
        yield folder / f"{mode}.jpg"
    picture.save(folder / "x.jpg", progressive=True, xmp=b"Jane Doe")
    yield stored(folder / "trailing.jpg", (folder / "x.jpg").read_bytes() + b"Jane Doe")
    png = png_with(encoded(make_picture(top=65535), "PNG"), png_chunk(b"doEs", b"Jane Doe"))
    yield stored(folder / "trailing.png", png + b"Jane Doe")
    picture.save(folder / "x.tif", description="Jane Doe")
    yield folder / "x.tif"
    yield make_raster(folder / "16.tif", make_picture(top=65535), description="Jane Doe")
    picture.save(folder / "x.webp", exif=exif, lossless=True)
    yield folder / "x.webp"


def test_pictures_lose_metadata_and_keep_pixels_and_orientation(tmp_path: Path) -> None:
    for path in pictures_with_metadata(tmp_path):
        result = deidentified(path.read_bytes())
        assert b"Jane Doe" not in result.blob, path.name
        after = stored(tmp_path / "after", result.blob)
        assert sniff(result.blob[:HEAD_BYTES]) == result.media_type, path.name
        np.testing.assert_array_equal(decode(after).pixels, decode(path).pixels, path.name)


def test_jpeg_and_png_keep_their_coded_pixels(tmp_path: Path) -> None:
    jpeg = make_raster(tmp_path / "x.jpg", comment=b"Jane Doe")
    assert deidentified(jpeg.read_bytes()).blob == jpeg.read_bytes().replace(
        b"\xff\xfe\0\x0aJane Doe", b""
    )
    png = make_raster(tmp_path / "x.png")
    assert deidentified(png.read_bytes()).blob == png.read_bytes()


def test_no_value_of_the_shared_files_survives(shared_data: Path, tmp_path: Path) -> None:
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
        kept = pydicom.dcmread(io.BytesIO(content))
        assert not kept.PatientName
        assert kept.PatientID != dataset.get("PatientID") or not kept.PatientID
        assert not kept.PatientBirthDate
        assert not kept.StudyDate
        assert "OtherPatientIDs" not in kept
        after = decode(stored(tmp_path / "x.dcm", content))
        np.testing.assert_array_equal(after.pixels, decode(path).pixels, path.name)
    assert checked > 50
