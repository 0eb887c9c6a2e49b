"""An upload whose every corner names an invented patient."""

import io
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from pydicom.dataset import Dataset

from tests.support.data.builders import jpeg_with, make_dataset, make_picture, make_png, save_dicom

# In files' contents: to be found nowhere. Long enough not to occur by chance.
CONTENTS = (
    "Quackenbush",
    "Zephyrine",
    "QX-7712-ZETA",
    "Thistlewaite",
    "Maplethorpe",
    "Pumpernickle",
    "Wigglesbury",
    "Fotheringale",
    "Grünspanhügel",
)
# In names of files, folders and members: for those who may see the job.
NAMES = ("Hallifaxworth", "Brindlemere", "Vanderquill", "Drosselberg", "Eglantine", "Käthchen")


def write_upload(folder: Path) -> Path:
    """Files that are read, files that are refused, a zip with both."""
    upload = folder / "Hallifaxworth_Ottoline"
    upload.mkdir(parents=True)
    save_dicom(upload / "Brindlemere_Cuthbert.dcm", named_dataset())
    save_dicom(upload / "Eglantine, no picture.dcm", named_dataset(PixelData=None))
    save_dicom(upload / "Eglantine, a scan.dcm", named_dataset(Modality="CT"))
    save_dicom(upload / "Eglantine, a hand.dcm", named_dataset(BodyPartExamined="WIGGLESBURY"))
    save_dicom(upload / "Eglantine, damaged.dcm", named_dataset(WindowCenter=1, WindowWidth=1))
    damaged = upload / "Eglantine, damaged.dcm"
    damaged.write_bytes(damaged.read_bytes().replace(b"DS\x02\x001 ", b"DS\x02\x00Zy"))
    (upload / "Käthchen.jpg").write_bytes(_jpeg())
    (upload / "Käthchen, cut.jpg").write_bytes(_jpeg()[:-900])
    with zipfile.ZipFile(upload / "Drosselberg_Archive.zip", "w") as archive:
        archive.comment = b"Pumpernickle"
        archive.writestr("Vanderquill_Isolde/film.png", make_png(folder / "x").read_bytes())
        archive.writestr("Vanderquill_Isolde/../evil.png", b"Pumpernickle")
        archive.writestr("Vanderquill_Isolde/notes.txt", "of Pumpernickle")
    (folder / "x").unlink()
    return upload


def named_dataset(**attributes: Any) -> Dataset:
    pixels = make_picture()
    pixels[0, 0] = len(str(attributes))  # else all would be one image
    dataset = make_dataset(
        pixels,
        **{
            "PatientName": "Quackenbush^Zephyrine",
            "PatientID": "QX-7712-ZETA",
            "OtherPatientIDs": "QX-7712-ZETA",
            "AccessionNumber": "QX-7712-ZETA",
            "ReferringPhysicianName": "Thistlewaite",
            "InstitutionName": "Maplethorpe",
            "StudyDescription": "of Zephyrine",
            "ImageComments": "Zephyrine",
            "ViewPosition": "ZEPHYRINE",
        }
        | attributes,
    )
    block = dataset.private_block(0x0011, "MAPLETHORPE", create=True)
    block.add_new(0x01, "LO", "Quackenbush")
    dataset.add_new(0x60003000, "OW", b"Quackenbush!")
    return dataset


def _jpeg() -> bytes:
    exif = Picture.Exif()
    exif[0x010E], exif[0x013B], exif[0x8298] = "Wigglesbury", "Wigglesbury", "Grünspanhügel"
    written = io.BytesIO()
    Picture.fromarray(make_picture(90, 120)).save(
        written, "JPEG", exif=exif, comment=b"Wigglesbury"
    )
    return jpeg_with(written.getvalue(), marker=0xE7, body="Wigglesbury".encode("utf-16-le"))


def write_labels(folder: Path) -> Path:
    """Lines that are taken, and one of each kind that is refused."""
    table = folder / "labels.csv"
    table.write_text(
        "file,label,patient,time\n"
        "Hallifaxworth_Ottoline/Brindlemere_Cuthbert.dcm,normal,Fotheringale,\n"
        "Hallifaxworth_Ottoline/Käthchen.jpg,pneumonia,Fotheringale,\n"
        "nothing/of the kind.png,pneumonia,Fotheringale,\n"
        "Hallifaxworth_Ottoline/Käthchen.jpg,Fotheringale,Fotheringale,\n"
        "Hallifaxworth_Ottoline/Käthchen.jpg,normal,Fotheringale,Fotheringale\n"
    )
    return table
