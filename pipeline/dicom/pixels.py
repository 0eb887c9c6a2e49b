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
from pipeline.dicom.attributes import label, raw_value
from pipeline.dicom.description import ONE_SAMPLE, Description
from pipeline.errors import damaged, too_large, unsupported
from pipeline.files.jpeg import check_jpeg, read_luminance
from pipeline.limits import Limits

dicom_codecs.register()

_LOSSLESS = (
    *(JPEGLossless, JPEGLosslessSV1, JPEGLSLossless),
    *(JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL),
)
# Unused bits are handled in `image`, which considers High Bit; pydicom does not.
_OPTIONS: dict[str, Any] = {"correct_unused_bits": False, "view_only": True}
# The faster and stricter decoder of several; by default, whichever there is.
_PREFERRED = {
    **dict.fromkeys((JPEGBaseline8Bit, JPEG2000Lossless, JPEG2000), ("pillow",)),
    RLELossless: (dicom_codecs.LABEL, "pydicom"),  # the second accepts padded segments
}


def first_frame(dataset: Dataset, description: Description, limits: Limits) -> NDArray[Any]:
    """Return the first frame: (H, W) integers or floats as stored, or (H, W, 3) RGB.

    PALETTE COLOR is returned as indices of its colours. Raises RefusedError.
    """
    limits.check_size(description.rows, description.columns)
    limits.check_frames(description.frames)
    _check_samples(description)
    if description.syntax.is_encapsulated:
        _check_encapsulated(dataset, description, limits)
    elif description.keyword == "PixelData":
        expected = pixel_data_length(description)
        received = len(raw_value(dataset, description.keyword) or b"")
        if received < expected:
            raise damaged(
                "Pixel Data (7FE0,0010) is cut short: "
                f"expected {expected} bytes, received {received}"
            )
    return decode_frame(dataset, description, 0)


def _check_samples(description: Description) -> None:
    samples, photometric = description.samples, description.photometric
    if samples not in (1, 3) or (photometric in ONE_SAMPLE and samples != 1):
        raise damaged(
            f"{label('SamplesPerPixel')} is {samples}, which {photometric} does not allow"
        )


def pixel_data_length(description: Description) -> int:
    """Return the bytes of pixels that are not encapsulated (PS3.5 8.1.1), without padding."""
    total = description.rows * description.columns * description.samples
    total *= description.allocated * description.frames
    if description.photometric == "YBR_FULL_422":
        total = total * 2 // 3
    return (total + 7) // 8


def is_jpeg(syntax: UID) -> bool:
    """Whether the pixels are JPEG or JPEG-LS streams (not JPEG 2000)."""
    return "JPEG" in syntax.name and not is_jpeg_2000(syntax)


def is_jpeg_2000(syntax: UID) -> bool:
    """Whether the pixels are JPEG 2000 or HTJ2K streams."""
    return "2000" in syntax.name


def has_unused_bits(description: Description) -> bool:
    """Whether samples have bits that are not theirs (PS3.5 8.1.1) and may hold something else.

    Not so for lossy codecs, whose values may lie a little outside the bits stored.
    """
    syntax = description.syntax
    if description.stored >= description.allocated:
        return False
    if not syntax.is_encapsulated or syntax == RLELossless:
        return True
    # Codecs differ in where they put samples that do not occupy the lowest bits.
    return syntax in _LOSSLESS and description.high == description.stored - 1


def _check_encapsulated(dataset: Dataset, description: Description, limits: Limits) -> None:
    """Check streams of the JPEG family: decoders silently fill missing parts with grey."""
    try:
        stream = get_frame(dataset.PixelData, 0, number_of_frames=description.frames)
    except Exception:
        raise damaged("Pixel Data (7FE0,0010) is cut short or its fragments are damaged") from None
    if is_jpeg(description.syntax):
        check_jpeg(stream, limits)
        read_luminance(stream, scale=8)
    # T.800 A.4.4: the end marker, perhaps padded to an even length (PS3.5 A.4).
    if is_jpeg_2000(description.syntax) and not stream.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise damaged("the JPEG 2000 data are cut short: no end marker")


def decode_frame(
    dataset: Dataset, description: Description, index: int, *, raw: bool = False
) -> NDArray[Any]:
    """Return one frame's samples. raw: colours and unused bits as stored. Raises RefusedError."""
    syntax = description.syntax
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise unsupported(f"the transfer syntax {_name(syntax)} is not supported") from None
    for plugin in _PREFERRED.get(syntax, ("",)):
        try:
            frame, _ = decoder.as_array(
                dataset[description.keyword].value,
                index=index,
                raw=raw,
                decoding_plugin=plugin,
                **_OPTIONS,
                **_options(dataset, description, keep_bits=raw),
            )
        except MemoryError:
            raise too_large("decoding takes too much memory") from None
        except Exception:  # noqa: S112 (any error of a decoder is the file's fault)
            continue
        native: NDArray[Any] = frame.astype(frame.dtype.newbyteorder("="), copy=False)
        return native
    raise unsupported(f"the pixel data cannot be decoded as {_name(syntax)}")


def _options(dataset: Dataset, description: Description, *, keep_bits: bool) -> dict[str, Any]:
    """Return what pydicom's decoders need to know; the data set itself may hold odd values."""
    options: dict[str, Any] = {
        "pixel_keyword": description.keyword,
        "pixel_vr": dataset[description.keyword].VR,
        "rows": description.rows,
        "columns": description.columns,
        "samples_per_pixel": description.samples,
        "photometric_interpretation": description.photometric,
        "number_of_frames": description.frames,
        "bits_allocated": description.allocated,
        # GDCM clears bits that are not stored.
        "bits_stored": description.allocated if keep_bits else description.stored,
        "pixel_representation": int(description.is_signed),
    }
    if description.samples > 1:
        options["planar_configuration"] = description.planar
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        options["extended_offsets"] = (
            dataset.ExtendedOffsetTable,
            dataset.ExtendedOffsetTableLengths,
        )
    return options


def _name(syntax: UID) -> str:
    return (
        syntax.name if not syntax.is_private and syntax.name != str(syntax) else "of a private kind"
    )
