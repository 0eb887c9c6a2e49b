"""Encoded frames of DICOM files, changed after encoding."""

from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.encaps import encapsulate, get_frame


def change_frame(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Replace the file's only frame by `change(frame)`, the frame without its padding."""
    dataset = pydicom.dcmread(path)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1).rstrip(b"\0")
    dataset.PixelData = encapsulate([change(frame)])
    dataset.save_as(path)
    return path
