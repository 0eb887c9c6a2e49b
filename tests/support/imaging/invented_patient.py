"""An upload that names an invented patient in every place, and a search for those names."""

import base64
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from PIL import Image as Picture
from pydicom.dataset import Dataset

from tests.support.data.builders import (
    encoded,
    jpeg_with,
    make_dataset,
    make_picture,
    make_png,
    save_dicom,
)

# In files' contents: must be found nowhere. Long enough not to occur by chance.
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
# In names of files, folders and zip members: visible only to those who may see the job.
NAMES = ("Hallifaxworth", "Brindlemere", "Vanderquill", "Drosselberg", "Eglantine", "Käthchen")


def write_upload(folder: Path) -> Path:
    """Accepted and refused files, and a zip with both."""
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
        archive.writestr("Vanderquill_Isolde/image.png", make_png(folder / "x").read_bytes())
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
    written = encoded(make_picture(90, 120), "JPEG", exif=exif, comment=b"Wigglesbury")
    return jpeg_with(written, marker=0xE7, body="Wigglesbury".encode("utf-16-le"))


def write_labels(folder: Path) -> Path:
    """Accepted rows, and one refused row of each kind."""
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


def find_words(content: bytes, words: Iterable[str]) -> list[str]:
    """Return the values that occur in any spelling."""
    return [word for word in words if any(one in content for one in spellings(word))]


def spellings(word: str) -> set[bytes]:
    """As text in several encodings, in a URL, in JSON, in base64 at any offset."""
    plain = {word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be")}
    plain |= {word.encode("latin-1", "ignore"), json.dumps(word)[1:-1].encode()}
    plain |= {quote(word).encode(), quote_plus(word).encode(), quote(quote(word)).encode()}
    return plain | {_in_base64(word.encode(), offset) for offset in range(3)}


def _in_base64(content: bytes, offset: int) -> bytes:
    """The part that does not depend on the bytes before and behind."""
    packed = base64.b64encode(bytes(offset) + content)
    return packed[4 if offset else 0 : len(packed) // 4 * 4 - 4]
