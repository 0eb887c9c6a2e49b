"""Samples of JPEG streams that other decoders do not read: 12 bits, lossless, JPEG-LS.

GDCM decodes them as libjpeg and CharLS do. It reads streams as DICOM holds them only.
"""

import ctypes
from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import unsupported
from pipeline.files.jpeg import FrameHeader, Jpeg, frame_header

_EXTENDED = "1.2.840.10008.1.2.4.51"
_LOSSLESS = "1.2.840.10008.1.2.4.57"
_JPEG_LS = "1.2.840.10008.1.2.4.81"  # near-lossless, which includes lossless
_JPEG_2000 = "1.2.840.10008.1.2.4.91"
_COPIES = 5  # of the pixels, that GDCM makes


def read_precise(jpeg: Jpeg) -> tuple[NDArray[Any], int] | None:
    """Return grey levels of a file with more than 8 bits or without loss, and their bits.

    uint8 or uint16 (H, W), 0 to 2**bits - 1; of colours the luminance (BT.601). None for kinds
    that other decoders read. Raises RefusedError.
    """
    header = jpeg.header
    if header.precision <= 8 and not header.is_lossless:
        return None
    samples, _ = read_jpeg_samples(jpeg.content)
    if samples.ndim == 2:
        return samples, header.precision
    # Lossless streams state RGB in no other way than by stating nothing else.
    if header.is_ybr or (header.is_ybr is None and not header.is_lossless):
        return samples[..., 0], header.precision
    luminance = samples @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(luminance).astype(samples.dtype), header.precision


def read_jpeg_samples(content: bytes) -> tuple[NDArray[Any], FrameHeader]:
    """Return uint8 or uint16 (H, W) or (H, W, 3), components as coded, and their header.

    Values: 0 to 2**precision - 1. Raises RefusedError. libjpeg's warnings of lost pixels are
    written to descriptor 2.
    """
    header = frame_header(content)
    syntax = _EXTENDED
    if header.is_lossless:
        syntax = _JPEG_LS if header.is_jpeg_ls else _LOSSLESS
    shape = (header.rows, header.columns, header.components)
    return decode_by_gdcm(content, syntax, shape, header.precision), header


def decode_by_gdcm(
    content: bytes, syntax: str, shape: tuple[int, int, int], precision: int
) -> NDArray[Any]:
    """Return uint8 or uint16 (H, W) or (H, W, 3). shape: rows, columns, components, as coded.

    Raises RefusedError, and MemoryError.
    """
    rows, columns, components = shape
    if components not in (1, 3) or not rows or not columns:
        raise unsupported(f"expected JPEG data of 1 or 3 components, received {components}")
    if not 2 <= precision <= 16:  # others crash it
        raise unsupported(f"expected JPEG data of 2 to 16 bits, received {precision}")
    samples = np.empty(
        shape if components == 3 else shape[:2], np.uint8 if precision <= 8 else np.uint16
    )
    try:
        _reserve_memory(len(content), samples.nbytes)
        if _decode_into(samples, _image(content, syntax, shape, precision)):
            return samples
    except MemoryError:
        raise
    except Exception:  # noqa: S110 (any error of a decoder is the file's fault)
        pass
    raise unsupported(
        f"the JPEG data of {precision} bits are damaged or of a kind that is not supported"
    )


def _reserve_memory(coded: int, decoded: int) -> None:
    """Raise MemoryError unless there is as much as GDCM takes, which aborts where it gets none."""
    np.empty(coded + _COPIES * decoded, np.uint8)


def _decode_into(samples: NDArray[Any], image: Any) -> bool:
    """Return False for an image that GDCM does not decode to as many bytes.

    Its memory is read by the address: as text, the other way that its bindings have, the samples
    would take as long again.
    """
    change = gdcm.ImageChangeTransferSyntax()
    change.SetInput(image)
    image.this.disown()  # `change` deletes it; deleted by both, it ends the process
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    if not change.Change():
        return False
    decoded = change.GetOutput().GetDataElement().GetByteValue()
    padded = samples.nbytes + samples.nbytes % 2
    if str(decoded.GetLength()) not in (str(samples.nbytes), str(padded)):
        return False
    ctypes.memmove(samples.ctypes.data, int(decoded.GetVoidPointer()), samples.nbytes)
    return True


def _image(content: bytes, syntax: str, shape: tuple[int, int, int], precision: int) -> Any:
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(content)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    rows, columns, components = shape
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.RGB
    if components == 1:
        kind = gdcm.PhotometricInterpretation.MONOCHROME2
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    allocated = 8 if precision <= 8 else 16
    # All bits count as stored: GDCM would clear the others.
    image.SetPixelFormat(gdcm.PixelFormat(components, allocated, allocated, allocated - 1, 0))
    return image
