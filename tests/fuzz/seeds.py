"""Small well-formed files by name, which begins with their format; the same in every run."""

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from tests.support.data.builders import (
    INVENTED_PATIENT,
    encoded,
    make_dicom,
    make_lut,
    make_picture,
)

IMAGE = make_picture(40, 48)
# Values that would otherwise be random or taken from the clock.
FIXED: dict[str, Any] = {
    **{
        keyword: generate_uid(entropy_srcs=[keyword])
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    },
    "StudyDate": "20260101",
    "StudyTime": "120000",
}
SYNTAXES = {
    "dicom explicit": ExplicitVRLittleEndian,
    "dicom implicit": ImplicitVRLittleEndian,
    "dicom deflated": DeflatedExplicitVRLittleEndian,
    "dicom rle": RLELossless,
    "dicom jpeg": JPEGBaseline8Bit,
    "dicom jpeg-lossless": JPEGLosslessSV1,
    "dicom jpeg-ls": JPEGLSLossless,
    "dicom jpeg-2000": JPEG2000Lossless,
}


def dicoms() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dcm"

        def made(pixels: NDArray[Any], **options: Any) -> bytes:
            return make_dicom(path, pixels, **FIXED | options).read_bytes()

        deep = make_picture(40, 48, top=1023)
        table = make_lut(np.arange(1024), first=0, bits=10)
        return {
            **{
                name: made(IMAGE, transfer_syntax=syntax, **INVENTED_PATIENT)
                for name, syntax in SYNTAXES.items()
            },
            "dicom tables": made(deep, bits_stored=10, VOILUTSequence=[table], PixelPaddingValue=0),
            "dicom window": made(
                deep, bits_stored=10, WindowCenter=512, WindowWidth=900, RescaleSlope=2
            ),
            "dicom frames": made(np.stack([IMAGE, IMAGE])),
            "dicom colours": made(np.stack([IMAGE] * 3, axis=-1)),
        }


def images() -> dict[str, bytes]:
    colours, deep = np.stack([IMAGE] * 3, axis=-1), make_picture(40, 48, top=65535)
    return {
        "png": encoded(IMAGE, "PNG"),
        "png colours": encoded(colours, "PNG"),
        "png deep": encoded(deep, "PNG"),
        "jpeg": encoded(IMAGE, "JPEG"),
        "jpeg colours": encoded(colours, "JPEG", progressive=True),
        "tiff": encoded(IMAGE, "TIFF"),
        "tiff deep": encoded(deep, "TIFF"),
        "tiff lzw": encoded(colours, "TIFF", compression="tiff_lzw"),
        "tiff deflate": encoded(IMAGE, "TIFF", compression="tiff_adobe_deflate"),
        "bmp": encoded(IMAGE, "BMP"),
        "webp": encoded(colours, "WEBP"),
        "jpeg 2000": encoded(IMAGE, "JPEG2000"),
    }


def archives() -> dict[str, bytes]:
    methods = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}
    methods |= {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}
    return {f"zip {name}": _zipped(method) for name, method in methods.items()}


def _zipped(method: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name in ("a/1.png", "a/2.dcm", "b/ü.jpg"):
            entry = zipfile.ZipInfo(name)  # dated 1980, not now
            entry.compress_type = method
            archive.writestr(entry, encoded(make_picture(8, 8), "PNG"))
    return target.getvalue()


def tables() -> dict[str, bytes]:
    return {
        "csv commas": b"file,label,patient,time\r\na/1.png,pneumonia,P1,2026-03-01T14:30\r\n",
        "csv semicolons": b'\xef\xbb\xbfFile;Label;Reader\n"a;1.png";1;Dr. X\n\nb.png;0;\n',
        "csv tabs": b"sha256\tlabel\n" + b"ab" * 32 + b"\tunusable\n",
        "csv uids": b"SOP Instance UID,label,date\n1.2.3,normal,2026-03-01\n",
    }
