"""Transfer syntaxes by what their streams are."""

from typing import Final

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from pipeline.dicom.encoding.fragments import is_jpeg_stream
from pipeline.files.jpeg import frame_header
from pipeline.files.jpeg2000 import read_code_stream

# The first of each kind is that of streams under a retired syntax, or another kind's.
_BASELINE: Final = (JPEGBaseline8Bit, JPEGExtended12Bit)
_EXTENDED: Final = (JPEGExtended12Bit,)
_LOSSLESS: Final = (JPEGLossless, JPEGLosslessSV1)
_JPEG_LS: Final = (JPEGLSNearLossless, JPEGLSLossless)
_JPEG_2000: Final = (JPEG2000, JPEG2000Lossless)
_HTJ2K: Final = (HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL)
# PS3.5 A.4.11: samples in fragments, one for each frame.
NATIVE_IN_FRAGMENTS: Final = UID("1.2.840.10008.1.2.1.98")
_RETIRED: Final = tuple(UID(f"1.2.840.10008.1.2.4.{number}") for number in range(52, 67))
LOSSLESS: Final = (*_LOSSLESS, JPEGLSLossless, JPEG2000Lossless, *_HTJ2K[1:])


def syntax_name(syntax: UID) -> str:
    return (
        syntax.name if not syntax.is_private and syntax.name != str(syntax) else "of a private kind"
    )


def is_jpeg(syntax: UID) -> bool:
    """Whether the pixels are JPEG or JPEG-LS streams (not JPEG 2000)."""
    return "JPEG" in syntax.name and not is_jpeg_2000(syntax)


def is_jpeg_2000(syntax: UID) -> bool:
    """Whether the pixels are JPEG 2000 or HTJ2K streams."""
    return "2000" in syntax.name


def is_retired(syntax: UID) -> bool:
    """Whether PS3.6 lists it as a retired process of JPEG."""
    return syntax in _RETIRED


def is_supported(syntax: UID) -> bool:
    return is_jpeg(syntax) or is_jpeg_2000(syntax) or syntax == RLELossless


def syntax_of_stream(stream: bytes, *, stated: UID) -> UID:
    """Return the stated syntax if it may hold the JPEG or JPEG 2000 stream, else one that may."""
    kind = _kind_of_jpeg(stream) if is_jpeg_stream(stream) else _kind_of_2000(stream)
    return stated if stated in kind else kind[0]


def _kind_of_jpeg(stream: bytes) -> tuple[UID, ...]:
    header = frame_header(stream)
    if header.is_jpeg_ls:
        return _JPEG_LS
    if header.is_lossless:
        return _LOSSLESS
    return _BASELINE if header.precision <= 8 else _EXTENDED


def _kind_of_2000(stream: bytes) -> tuple[UID, ...]:
    return _HTJ2K if read_code_stream(stream).is_high_throughput else _JPEG_2000
