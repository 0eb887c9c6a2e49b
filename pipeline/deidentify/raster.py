"""PNG and JPEG without metadata, pixels untouched; other formats converted to PNG."""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.raster import decode_raster, read_orientation
from pipeline.files.jpeg import APP0, APP1, APP14, NEEDED, SOI, segments
from pipeline.files.png import HEADER_END, chunk, strip_png
from pipeline.files.sniff import JPEG, PNG
from pipeline.limits import Limits
from pipeline.types import Deidentified

# PNG chunks from which Pillow takes an orientation; it decodes all pixels to look for them.
_MAY_ORIENT = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def strip_metadata(content: bytes, *, media_type: str, limits: Limits) -> Deidentified:
    """Return the same image without metadata: JPEG and PNG as they are, others as PNG.

    Pixels and orientation are kept; what follows the end of the image is dropped. Raises
    RefusedError for a damaged file.
    """
    if media_type == JPEG:
        return Deidentified(strip_jpeg(content, orientation=read_orientation(content, JPEG)), JPEG)
    if media_type == PNG:
        stripped = strip_png(content, limits)
        orientation = 1
        if any(kind in content for kind in _MAY_ORIENT):
            orientation = read_orientation(content, PNG)
        exif = chunk(b"eXIf", _exif(orientation)) if orientation != 1 else b""
        return Deidentified(stripped[:HEADER_END] + exif + stripped[HEADER_END:], PNG)
    pixels = decode_raster(content, media_type=media_type, limits=limits).pixels
    return Deidentified(_as_png(pixels), PNG)


def strip_jpeg(content: bytes, *, orientation: int = 1) -> bytes:
    """Return a JPEG stream without application segments and comments, pixels untouched."""
    kept = []
    for segment in segments(content):
        data = content[segment.start : segment.end]
        kept.append(data if segment.marker in NEEDED else _minimal_segment(data, segment.marker))
        if segment.marker == SOI and orientation != 1:
            kept.append(_segment(APP1, b"Exif\0\0" + _exif(orientation)))
    return b"".join(kept)


def _minimal_segment(segment: bytes, marker: int) -> bytes:
    """Return what decoders need of any other segment, without thumbnail or free text."""
    body = segment[4:]
    if marker == APP0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        body = body[:12] + b"\0\0"  # no thumbnail
    elif marker == APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        body = body[:12]
    else:
        return b""
    return _segment(marker, body)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _exif(orientation: int) -> bytes:
    """Return EXIF 2.3: a TIFF header, one directory, one SHORT entry (0x0112)."""
    header = struct.pack(">2sHI", b"MM", 42, 8)
    return header + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


def _as_png(pixels: NDArray[np.float32]) -> bytes:
    """Return an upright PNG of 16 bits at most, which hold the values of all other formats."""
    stored: NDArray[Any] = np.empty(pixels.shape, np.uint16)
    # Row by row: all at once would take four times as much memory.
    for row, values in zip(stored, pixels, strict=True):
        row[:] = np.rint(values * 65535)
    if not any((row % 257).any() for row in stored):  # eight bits hold the same values
        stored = (stored // 257).astype(np.uint8)
    target = io.BytesIO()
    # Level 1 takes a quarter of the time on large images, and little more space.
    Image.fromarray(stored).save(target, "PNG", compress_level=1)
    return target.getvalue()
