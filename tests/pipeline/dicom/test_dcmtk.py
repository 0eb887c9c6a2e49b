"""Grey levels of real files against dcmtk's `dcmj2pnm`, an independent reader of DICOM.

The files are those that pydicom publishes for tests, and the shared ones where they are present.
dcmj2pnm has no decoder for JPEG 2000 and JPEG-LS: pydicom decodes such streams for it.
"""

import subprocess
from pathlib import Path

import data_store  # pydicom-data
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import UID

import pipeline.dicom.image
from pipeline.decode.decode import decode
from pipeline.dicom.frontal import TagReading
from pipeline.errors import RefusedError
from pipeline.limits import Limits
from pipeline.types import DecodedImage, RangeRule
from tests.conftest import SHARED_DATA
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


def _ours(path: Path) -> DecodedImage | RefusedError:
    try:
        return decode(path, limits=Limits(min_side=1))
    except RefusedError as refusal:
        return refusal


def _theirs(
    dcmj2pnm: str, path: Path, image: DecodedImage | RefusedError, folder: Path
) -> list[NDArray[np.float64]]:
    """Return the first frame by each option that may show it like `image`; [] if unreadable."""
    source, target = _decompressed(path, folder), folder / "theirs.pnm"
    rule = image.range_rule if isinstance(image, DecodedImage) else RangeRule.BITS_STORED
    found = []
    for chosen in OPTIONS[rule]:
        target.unlink(missing_ok=True)
        command = [dcmj2pnm, "--write-raw-pnm", "--no-overlays", "--frame", "1", *chosen]
        subprocess.run([*command, str(source), str(target)], capture_output=True, check=False)
        if target.exists() and target.stat().st_size:
            found.append(_grey(target))
    return found


def _grey(path: Path) -> NDArray[np.float64]:
    with Image.open(path) as picture:
        levels = np.asarray(picture, np.float64)
    if levels.ndim == 3:
        levels = levels @ np.array([0.299, 0.587, 0.114])
    return levels / 255


def _decompressed(path: Path, folder: Path) -> Path:
    """Return the file, or one with its samples decoded by pydicom where dcmtk has no decoder."""
    dataset = pydicom.dcmread(path)
    syntax = UID(dataset.file_meta.get("TransferSyntaxUID", ""))
    if "2000" not in syntax.name and "JPEG-LS" not in syntax.name:
        return path
    target = folder / "decompressed.dcm"
    try:
        dataset.decompress()
        dataset.save_as(target)
    except Exception:  # of any decoder
        return path
    return target


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
