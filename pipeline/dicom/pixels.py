"""The samples of a frame as stored, and checks of what the tags promise about them."""

from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipeline.dicom import codecs as dicom_codecs
from pipeline.dicom.attributes import code, integer, label, raw_value
from pipeline.errors import damaged, not_an_image, too_large, unsupported
from pipeline.files.jpeg import check_jpeg, read_luminance
from pipeline.limits import Limits

dicom_codecs.register()

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")  # PS3.3 C.7.6.3, C.7.6.24
_LOSSLESS = (
    *(JPEGLossless, JPEGLosslessSV1, JPEGLSLossless),
    *(JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL),
)
_ONE_SAMPLE = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# Unused bits are handled in `image`, which considers High Bit; pydicom does not.
_OPTIONS: dict[str, Any] = {"correct_unused_bits": False, "view_only": True}
# The faster and stricter decoder of several; by default, whichever there is.
_PREFERRED = {
    **dict.fromkeys((JPEGBaseline8Bit, JPEG2000Lossless, JPEG2000), ("pillow",)),
    RLELossless: (dicom_codecs.LABEL, "pydicom"),  # the second accepts padded segments
}


def first_frame(dataset: Dataset, limits: Limits) -> NDArray[Any]:
    """Return the first frame: (H, W) integers or floats as stored, or (H, W, 3) RGB.

    PALETTE COLOR is returned as indices of its colours. Raises RefusedError.
    """
    keyword = _check_described(dataset, limits)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        _check_encapsulated(dataset, limits)
    elif keyword == "PixelData":
        expected, received = pixel_data_length(dataset), len(raw_value(dataset, keyword) or b"")
        if received < expected:
            raise damaged(
                "Pixel Data (7FE0,0010) is cut short: "
                f"expected {expected} bytes, received {received}"
            )
    return decode_frame(dataset, 0)


def frames(dataset: Dataset) -> int:
    return integer(dataset, "NumberOfFrames", default=1)


def _check_described(dataset: Dataset, limits: Limits) -> str:
    """Check what the tags promise against the limits; return the keyword of the pixel data."""
    keyword = next((keyword for keyword in PIXELS if keyword in dataset), None)
    if keyword is None:
        raise not_an_image(
            "expected an image, received a DICOM file without Pixel Data (7FE0,0010)"
        )
    limits.check_size(integer(dataset, "Rows"), integer(dataset, "Columns"))
    limits.check_frames(frames(dataset))
    photometric = code(dataset, "PhotometricInterpretation")
    samples = integer(dataset, "SamplesPerPixel", default=1)
    if photometric not in _ONE_SAMPLE + _COLOUR:
        raise unsupported(
            f"{label('PhotometricInterpretation')} is {photometric or 'missing'}, "
            "expected MONOCHROME1, MONOCHROME2, RGB, YBR or PALETTE COLOR"
        )
    if samples not in (1, 3) or (photometric in _ONE_SAMPLE and samples != 1):
        raise damaged(
            f"{label('SamplesPerPixel')} is {samples}, which {photometric} does not allow"
        )
    if keyword == "PixelData":
        _check_bits(dataset)
    return keyword


def _check_bits(dataset: Dataset) -> None:
    allocated, stored = integer(dataset, "BitsAllocated"), integer(dataset, "BitsStored")
    high = integer(dataset, "HighBit", default=stored - 1)
    if (
        allocated not in (1, 8, 16, 32)
        or not 1 <= stored <= allocated
        or not stored - 1 <= high < allocated
    ):
        raise damaged(
            f"Bits Allocated, Bits Stored and High Bit (0028,0100-0102) are "
            f"{allocated}, {stored} and {high}, which contradict each other"
        )


def pixel_data_length(dataset: Dataset, *, bits: int | None = None) -> int:
    """Return the bytes of pixels that are not encapsulated (PS3.5 8.1.1), without padding.

    bits: of a sample, for floats, which have no Bits Allocated (0028,0100).
    """
    rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
    samples = integer(dataset, "SamplesPerPixel", default=1)
    each = bits or integer(dataset, "BitsAllocated")
    total = rows * columns * samples * each * frames(dataset)
    if code(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
        total = total * 2 // 3
    return (total + 7) // 8


def is_jpeg(dataset: Dataset) -> bool:
    """Whether the pixels are JPEG or JPEG-LS streams (not JPEG 2000)."""
    return "JPEG" in dataset.file_meta.TransferSyntaxUID.name and not is_jpeg_2000(dataset)


def is_jpeg_2000(dataset: Dataset) -> bool:
    """Whether the pixels are JPEG 2000 or HTJ2K streams."""
    return "2000" in dataset.file_meta.TransferSyntaxUID.name


def has_unused_bits(dataset: Dataset) -> bool:
    """Whether samples have bits that are not theirs (PS3.5 8.1.1) and may hold something else.

    Not so for lossy codecs, whose values may lie a little outside the bits stored.
    """
    syntax, stored = dataset.file_meta.TransferSyntaxUID, integer(dataset, "BitsStored")
    if stored >= integer(dataset, "BitsAllocated"):
        return False
    if not syntax.is_encapsulated or syntax == RLELossless:
        return True
    # Codecs differ in where they put samples that do not occupy the lowest bits.
    is_lowest = integer(dataset, "HighBit", default=stored - 1) == stored - 1
    return syntax in _LOSSLESS and is_lowest


def _check_encapsulated(dataset: Dataset, limits: Limits) -> None:
    """Check streams of the JPEG family: decoders silently fill missing parts with grey."""
    try:
        stream = get_frame(dataset.PixelData, 0, number_of_frames=frames(dataset))
    except Exception:
        raise damaged("Pixel Data (7FE0,0010) is cut short or its fragments are damaged") from None
    if is_jpeg(dataset):
        check_jpeg(stream, limits)
        read_luminance(stream, scale=8)
    # T.800 A.4.4: the end marker, perhaps padded to an even length (PS3.5 A.4).
    if is_jpeg_2000(dataset) and not stream.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise damaged("the JPEG 2000 data are cut short: no end marker")


def decode_frame(dataset: Dataset, index: int, *, raw: bool = False) -> NDArray[Any]:
    """Return one frame's samples. raw: colours and unused bits as stored. Raises RefusedError."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise unsupported(f"the transfer syntax {_name(syntax)} is not supported") from None
    for plugin in _PREFERRED.get(syntax, ("",)):
        try:
            frame, _ = decoder.as_array(
                dataset,
                index=index,
                raw=raw,
                decoding_plugin=plugin,
                **_OPTIONS,
                **_described(dataset, keep_bits=raw),
            )
        except MemoryError:
            raise too_large("decoding takes too much memory") from None
        except Exception:  # noqa: S112 (any error of a decoder is the file's fault)
            continue
        native: NDArray[Any] = frame.astype(frame.dtype.newbyteorder("="), copy=False)
        return native
    raise unsupported(f"the pixel data cannot be decoded as {_name(syntax)}")


def _described(dataset: Dataset, *, keep_bits: bool) -> dict[str, Any]:
    """Return the tags as pydicom's decoders need them: each one, of the right type."""
    described: dict[str, Any] = {
        "rows": integer(dataset, "Rows"),
        "columns": integer(dataset, "Columns"),
        "samples_per_pixel": (samples := integer(dataset, "SamplesPerPixel", default=1)),
        "photometric_interpretation": code(dataset, "PhotometricInterpretation"),
        "number_of_frames": frames(dataset),
    }
    if samples > 1:
        described["planar_configuration"] = integer(dataset, "PlanarConfiguration", default=0)
    if keep_bits:  # GDCM clears bits that are not stored
        described["bits_stored"] = integer(dataset, "BitsAllocated")
    if "PixelData" in dataset:
        described["pixel_representation"] = integer(dataset, "PixelRepresentation", default=0)
    return described


def _name(syntax: UID) -> str:
    return (
        syntax.name if not syntax.is_private and syntax.name != str(syntax) else "of a private kind"
    )
