"""Grey levels of real files and their stored copies against dcmtk's `dcmj2pnm`, another reader.

The files are those that pydicom publishes for tests, and the shared ones where they are present.
dcmj2pnm has no decoder for JPEG 2000 and JPEG-LS: pydicom decodes such streams for it, of sources.
"""

import io
import subprocess
from pathlib import Path

import data_store  # pydicom-data
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import UID

import pipeline.dicom.image
from pipeline.decode.decode import decode
from pipeline.dicom.frontal import TagReading
from pipeline.errors import RefusedError
from pipeline.limits import Limits
from pipeline.types import DecodedImage, RangeRule
from tests.conftest import SHARED_DATA
from tests.support.imaging.deidentified import deidentified
from tests.support.system_packages import find_program

FOLDERS = (
    Path(pydicom.__file__).parent / "data",
    Path(data_store.__file__).parent,
    SHARED_DATA / "dicom",
    SHARED_DATA / "reports" / "imaging",
)
LEVELS = 1.6  # of 255, of difference: dcmj2pnm rounds after each step

# Why a file is not read as dcmj2pnm does.
EXPLAINED = {
    "drv_cr10_pixel_padding.dcm": "padding at the borders is cut off",
    "bitsstored_14bit_values_in_12.dcm": "values above the stored bits are kept, not cut",
    "bitsstored_over_10bit_by_30pct.dcm": "values above the stored bits are kept, not cut",
    "layout_mono_three_samples.dcm": "dcmj2pnm takes each of three equal samples for a pixel",
    "layout_ybr422_stored_full.dcm": "dcmj2pnm takes whole colours for subsampled ones",
    "layout_j2k_rct_stated_ybr_full.dcm": "pydicom, which decodes for dcmj2pnm, converts twice",
    **dict.fromkeys(
        ["liver.dcm", "liver_expb.dcm", "liver_1frame.dcm", "liver_expb_1frame.dcm"],
        "dcmj2pnm shows the greater value of a single bit as half of white",
    ),
    "j2k_tail_real_dx_chest_psot0.dcm": "the window is moved by the offset of the values",
    "window_offset32768.dcm": "the window is moved by the offset of the values",
    # The same as rtdose.dcm, in which they agree.
    "rtdose_expb.dcm": "dcmj2pnm exchanges halves of big endian words of 32 bits",
    "rtdose_expb_1frame.dcm": "dcmj2pnm exchanges halves of big endian words of 32 bits",
}

OPTIONS = {
    RangeRule.WINDOW: [["--use-window", "1"], ["--use-window", "2"]],
    RangeRule.TABLE: [["--use-voi-lut", "1"], ["--use-voi-lut", "1", "--ignore-vlut-depth"]],
    RangeRule.BITS_STORED: [["--no-windowing"]],
    RangeRule.BITS_USED: [["--min-max-window"]],
    RangeRule.PERCENTILES: [["--min-max-window"]],
}
SHOWN = WINDOW, TABLE, NEITHER = "--use-window 1", "--use-voi-lut 1", "--no-windowing"

# The options by which dcmj2pnm shows the stored copy in another way than its source, and why.
CORRECTED = {
    "bitsstored_14bit_values_in_12.dcm": [WINDOW, NEITHER],  # Bits Stored is raised
    "bitsstored_over_10bit_by_30pct.dcm": [WINDOW, NEITHER],
    "range_dx_window_decimal_comma_bs16.dcm": [WINDOW],  # dcmj2pnm reads up to a comma
    "voilut_bits16_entries12.dcm": [TABLE],  # the bits of the table's entries are corrected
    "voilut_empty_item_window_beside.dcm": [TABLE],  # dcmj2pnm takes an empty item for a table
    # Colours and bytes are read otherwise by dcmj2pnm, see EXPLAINED, and stored as they are read.
    "layout_mono_three_samples.dcm": [NEITHER],
    "layout_ybr422_stored_full.dcm": [NEITHER],
    "rtdose_expb.dcm": [NEITHER],
    "rtdose_expb_1frame.dcm": [NEITHER],
}


def _is_image(path: Path) -> bool:
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return False
    return any(keyword in pydicom.dcmread(path) for keyword in ("PixelData", "FloatPixelData"))


def _files() -> dict[str, Path]:
    found = (path for folder in FOLDERS for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.name: path for path in found if _is_image(path)}


FILES = _files()


@pytest.fixture(scope="module")
def dcmj2pnm() -> str:
    return str(find_program(["dcmj2pnm"], ["dcmtk"]))


@pytest.mark.parametrize("name", FILES)
def test_grey_levels_are_those_of_dcmj2pnm(
    name: str, dcmj2pnm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Most of the files are no chest radiographs.
    monkeypatch.setattr(pipeline.dicom.image, "read_tags", lambda *_: TagReading())
    image = _ours(FILES[name])
    theirs = _theirs(dcmj2pnm, FILES[name], image, tmp_path)
    if isinstance(image, RefusedError):
        assert not theirs, image
    elif name in EXPLAINED:
        assert not any(_is_equal(image, grey) for grey in theirs), "needs no explanation"
    elif theirs:
        assert any(_is_equal(image, grey) for grey in theirs), image.warnings


@pytest.mark.parametrize("name", FILES)
def test_stored_copy_is_shown_like_its_source(name: str, dcmj2pnm: str, tmp_path: Path) -> None:
    if not _has_decoder(pydicom.dcmread(FILES[name])):
        return
    try:
        stored = deidentified(FILES[name].read_bytes(), limits=Limits(min_side=1))
    except RefusedError:
        return
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(stored.blob)
    paths = FILES[name], copy
    shown = {option: [_shown(dcmj2pnm, path, option.split()) for path in paths] for option in SHOWN}
    different = [option for option, (source, kept) in shown.items() if source and source != kept]
    assert different == CORRECTED.get(name, [])


def _ours(path: Path) -> DecodedImage | RefusedError:
    try:
        return decode(path, limits=Limits(min_side=1))
    except RefusedError as refusal:
        return refusal


def _theirs(
    dcmj2pnm: str, path: Path, image: DecodedImage | RefusedError, folder: Path
) -> list[NDArray[np.float64]]:
    """Return the first frame by each option that may show it like `image`; [] if unreadable."""
    source = _decompressed(path, folder)
    rule = image.range_rule if isinstance(image, DecodedImage) else RangeRule.BITS_STORED
    found = (_shown(dcmj2pnm, source, chosen) for chosen in OPTIONS[rule])
    return [_grey(picture) for picture in found if picture]


def _shown(dcmj2pnm: str, path: Path, chosen: list[str]) -> bytes:
    """Return the first frame as PNM; b"" if unreadable."""
    command = [dcmj2pnm, "--write-raw-pnm", "--no-overlays", "--frame", "1", *chosen, str(path)]
    return subprocess.run(command, capture_output=True, check=False).stdout


def _grey(pnm: bytes) -> NDArray[np.float64]:
    with Image.open(io.BytesIO(pnm)) as picture:
        levels = np.asarray(picture, np.float64)
    if levels.ndim == 3:
        levels = levels @ np.array([0.299, 0.587, 0.114])
    return levels / 255


def _decompressed(path: Path, folder: Path) -> Path:
    """Return the file, or one with its samples decoded by pydicom where dcmtk has no decoder."""
    dataset = pydicom.dcmread(path)
    if _has_decoder(dataset):
        return path
    target = folder / "decompressed.dcm"
    try:
        dataset.decompress()
        dataset.save_as(target)
    except Exception:  # of any decoder
        return path
    return target


def _has_decoder(dataset: Dataset) -> bool:
    syntax = UID(dataset.file_meta.get("TransferSyntaxUID", ""))
    return "2000" not in syntax.name and "JPEG-LS" not in syntax.name


def _is_equal(image: DecodedImage, grey: NDArray[np.float64]) -> bool:
    if grey.shape != image.pixels.shape:
        return False
    levels = LEVELS
    if image.range_rule in (RangeRule.BITS_USED, RangeRule.PERCENTILES):
        grey, levels = _stretched(grey, image.pixels), 2 * LEVELS
    return bool(255 * np.abs(grey - image.pixels).max() <= levels)


def _stretched(grey: NDArray[np.float64], like: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return a*grey + b, clipped, for the a and b that fit best to where `like` is not clipped."""
    inside = (like > 0) & (like < 1)
    factors = np.polynomial.polynomial.polyfit(grey[inside], like[inside], 1)
    return np.clip(np.polynomial.polynomial.polyval(grey, factors), 0, 1)
