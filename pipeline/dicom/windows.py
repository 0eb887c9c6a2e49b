"""The windows that a data set states, centre by width (PS3.3 C.11.2.1.2)."""

import math
from dataclasses import dataclass
from itertools import zip_longest

from pydicom.dataset import Dataset

from pipeline.dicom.tags import Tags


@dataclass(frozen=True)
class Window:
    """Centre and width in values after the Modality LUT; NaN if unreadable."""

    centre: float
    width: float


def read_windows(tags: Tags) -> tuple[tuple[Window, ...], str]:
    """Return all windows of one VOI LUT Function, and that function (C.11.2.1.3).

    Those of the first frame's functional group come first, then those outside it.
    """
    stated = []
    for holder in tags.holders("WindowCenter"):
        if windows := _complete_windows(tags, holder):
            function = tags.term("VOILUTFunction", usual="LINEAR", holder=holder)
            stated.append((windows, function))
    if not stated:
        return (), "LINEAR"
    usable = [one for one in stated if any(is_usable(window, one[1]) for window in one[0])]
    if usable and usable[0] is not stated[0]:
        tags.warn("WindowWidth", "windows outside its functional group are read")
    _, function = (usable or stated)[0]
    windows = [window for one in usable or stated if one[1] == function for window in one[0]]
    return tuple(windows), function


def is_usable(window: Window, function: str) -> bool:
    """C.11.2.1.2.1: a linear window has a width of at least 1."""
    least = 1 if function == "LINEAR" else 1e-9
    return math.isfinite(window.centre) and window.width >= least


def _complete_windows(tags: Tags, holder: Dataset) -> list[Window]:
    """Return the windows that have both, of several of which some may lack one."""
    centres, widths = (tags.entries(one, holder) for one in ("WindowCenter", "WindowWidth"))
    pairs = list(zip_longest(centres, widths))
    if any(centre is None for centre, _ in pairs):
        tags.warn("WindowCenter", "windows without it are left out", fault="lacks a value")
    if any(width is None for _, width in pairs):
        tags.warn("WindowWidth", "windows without it are left out", fault="lacks a value")
    return [Window(c, w) for c, w in pairs if c is not None and w is not None]
