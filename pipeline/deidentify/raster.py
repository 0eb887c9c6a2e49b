"""PNG and JPEG without metadata, pixels untouched."""

import struct

from pipeline.decode.jpeg import read_orientation
from pipeline.decode.raster import orientation_of_png
from pipeline.files.jpeg import APP0, APP1, APP14, NEEDED, SOI, Jpeg
from pipeline.files.png import HEADER_END, Png, chunk, strip_png


def png_without_metadata(png: Png) -> bytes:
    """Return the same image without metadata; its pixels and orientation are kept.

    What follows the end of the image is dropped. Raises RefusedError for a damaged file.
    """
    stripped = strip_png(png)
    orientation = orientation_of_png(png)
    exif = chunk(b"eXIf", _exif(orientation)) if orientation != 1 else b""
    return stripped[:HEADER_END] + exif + stripped[HEADER_END:]


def jpeg_without_metadata(jpeg: Jpeg) -> bytes:
    """Like `png_without_metadata`."""
    return strip_jpeg(jpeg, orientation=read_orientation(jpeg))


def strip_jpeg(jpeg: Jpeg, *, orientation: int = 1) -> bytes:
    """Return the stream without application segments and comments, pixels untouched."""
    kept = []
    for segment in jpeg.segments:
        data = jpeg.content[segment.start : segment.end]
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
