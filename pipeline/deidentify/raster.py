"""PNG and JPEG without metadata, pixels untouched."""

import struct

from pipeline.decode.raster import read_orientation
from pipeline.files.jpeg import APP0, APP1, APP14, NEEDED, SOI, segments
from pipeline.files.png import HEADER_END, chunk, strip_png
from pipeline.files.sniff import JPEG, PNG
from pipeline.limits import Limits
from pipeline.types import Deidentified

# PNG chunks from which Pillow takes an orientation; it decodes all pixels to look for them.
_MAY_ORIENT = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def strip_metadata(content: bytes, *, media_type: str, limits: Limits) -> Deidentified:
    """Return the same JPEG or PNG image without metadata.

    Pixels and orientation are kept; what follows the end of the image is dropped. Raises
    RefusedError for a damaged file.
    """
    if media_type == JPEG:
        return Deidentified(strip_jpeg(content, orientation=read_orientation(content, JPEG)), JPEG)
    stripped = strip_png(content, limits)
    orientation = 1
    if any(kind in content for kind in _MAY_ORIENT):
        orientation = read_orientation(content, PNG)
    exif = chunk(b"eXIf", _exif(orientation)) if orientation != 1 else b""
    return Deidentified(stripped[:HEADER_END] + exif + stripped[HEADER_END:], PNG)


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
