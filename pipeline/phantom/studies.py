"""A folder of phantom studies as DICOM, PNG and JPEG, with invented patients."""

import hashlib
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from pipeline.phantom.drawing import MARK, draw_phantom
from pipeline.types import Finding

_NAMES = (
    "ALDER", "BIRCH", "CEDAR", "DOGWOOD", "ELM", "FIR", "GINKGO", "HAZEL", "IVY", "JUNIPER",
    "KATSURA", "LARCH", "MAPLE", "NUTMEG", "OAK", "PINE", "QUINCE", "ROWAN", "SPRUCE", "TEAK",
)  # fmt: skip


# What tells other programs, by the IPTC's NewsCodes, that PNG and JPEG were made by a program.
_XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"/>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def write_phantom_studies(
    folder: Path, *, studies: int = 24, seed: int = 0, size: tuple[int, int] = (1024, 1024)
) -> list[Path]:
    """Write one folder per study, half of them DICOM; return the files in order.

    Every fifth study has two images. Names and tags do not reveal the finding.
    """
    random = np.random.default_rng(seed)
    written = []
    for number in range(1, studies + 1):
        finding: Finding = "pneumonia" if random.random() < 0.4 else "normal"
        for image in range(1, 3 if number % 5 == 0 else 2):
            pixels = draw_phantom(seed=seed + 1000 * number + image, finding=finding, size=size)
            study = folder / f"study-{number:03d}"
            study.mkdir(parents=True, exist_ok=True)
            written.append(_write(pixels, study, number=number, image=image, seed=seed))
    return written


def _write(pixels: NDArray[np.uint8], study: Path, *, number: int, image: int, seed: int) -> Path:
    kind = ("dcm", "png", "dcm", "jpeg")[number % 4]
    path = study / f"image-{image}.{kind}"
    if kind == "dcm":
        dataset = make_phantom_dicom(pixels, number=number, image=image, seed=seed)
        dataset.save_as(path, enforce_file_format=True)
    elif kind == "png":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", _XMP)
        Image.fromarray(pixels).save(path, pnginfo=text)
    else:
        Image.fromarray(pixels).save(path, quality=92, xmp=_XMP.encode())
    return path


def make_phantom_dicom(pixels: NDArray[np.uint8], *, number: int, image: int, seed: int) -> Dataset:
    """Return a CR or DX object (PS3.3 A.2, A.26) with 12 bits stored, of an invented patient."""
    dataset = Dataset()
    dataset.Modality, dataset.SOPClassUID = (
        ("CR", ComputedRadiographyImageStorage)
        if number % 4
        else ("DX", DigitalXRayImageStorageForPresentation)
    )
    dataset.SOPInstanceUID = _uid(seed, number, image)
    _describe_patient(dataset, number=number, seed=seed)
    dataset.StudyInstanceUID = _uid(seed, number)
    dataset.SeriesInstanceUID = _uid(seed, number, "series")
    dataset.SeriesNumber, dataset.InstanceNumber = "1", str(image)
    dataset.SeriesDescription = f"{MARK} CHEST"
    dataset.SyntheticData = "YES"  # PS3.3 C.12.1
    dataset.ImageComments = f"{MARK}: generated, shows no one"
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "AP"
    _add_pixels(dataset, pixels, is_monochrome1=number % 8 == 6)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _uid(*parts: object) -> str:
    """Return a UID under the root of PS3.5 B.2, a function of the parts."""
    text = "/".join(["overread phantom", *map(str, parts)])
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"


def _describe_patient(dataset: Dataset, *, number: int, seed: int) -> None:
    random = np.random.default_rng([seed, number])
    born = date(2019, 1, 1) + timedelta(days=int(random.integers(0, 4 * 365)))
    taken = date(2024, 1, 1) + timedelta(days=int(random.integers(0, 700)))
    dataset.PatientName = f"{MARK}^{_NAMES[number % len(_NAMES)]}"
    dataset.PatientID = f"SYN-{seed:03d}-{number:04d}"
    dataset.PatientBirthDate = born.strftime("%Y%m%d")
    dataset.PatientSex = "FM"[int(random.integers(2))]
    dataset.StudyDate = taken.strftime("%Y%m%d")
    dataset.StudyTime = "120000"
    dataset.AccessionNumber = f"SYN{number:06d}"
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = str(number)


def _add_pixels(dataset: Dataset, pixels: NDArray[np.uint8], *, is_monochrome1: bool) -> None:
    """Image Pixel module, PS3.3 C.7.6.3; identity window over the 12 bits."""
    stored = pixels.astype(np.uint16) * 16 + 8
    dataset.PhotometricInterpretation = "MONOCHROME1" if is_monochrome1 else "MONOCHROME2"
    dataset.SamplesPerPixel = 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = (4095 - stored if is_monochrome1 else stored).astype("<u2").tobytes()
