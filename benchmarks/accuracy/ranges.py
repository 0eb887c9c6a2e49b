"""Do answers stay when a film uses a part of its range of values, and states no window?

    python -m benchmarks.accuracy.ranges FOLDER [--films 60]

FOLDER holds films of 8 bits in NORMAL and PNEUMONIA, e.g. chest_xray/train. Each is written as
DICOM of 12 or 16 bits, PNG and TIFF that use a half to a sixteenth of the range, signed values, or
1000 to 2000 of 4096; counted are the answers by the shipped network that differ from those of the
same film with the whole range.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.inference.predictor import Predictor
from pipeline.prepare.prepare import prepare
from tests.support.data.builders import make_dicom

Levels = NDArray[np.float64]  # (H, W) in [0, 1]


def dicom(
    top: int, *, bits: int, low: int = 0, **attributes: Any
) -> Callable[[Path, Levels], Path]:
    """Values from `low` to `top`; signed if `bits` is negative."""
    kind = np.int16 if bits < 0 else np.uint16

    def write(path: Path, levels: Levels) -> Path:
        values = np.rint(low + levels * (top - low)).astype(kind)
        return make_dicom(path, values, bits_stored=abs(bits), **attributes)

    return write


def raster(suffix: str, top: int, kind: str = "u2") -> Callable[[Path, Levels], Path]:
    def write(path: Path, levels: Levels) -> Path:
        path = path.with_suffix(suffix)
        Image.fromarray(np.rint(levels * top).astype(kind)).save(path)
        return path

    return write


def inverse(top: int, *, bits: int) -> Callable[[Path, Levels], Path]:
    write = dicom(top, bits=bits, PhotometricInterpretation="MONOCHROME1")
    return lambda path, levels: write(path, 1 - levels)


RIGHT = "the whole range"
VARIANTS = {
    RIGHT: dicom(65535, bits=16),
    "1/2: 15 bits in 16": dicom(32767, bits=16),
    "1/4: 14 bits in 16": dicom(16383, bits=16),
    "1/4: 10 bits in 12": dicom(1023, bits=12),
    "1/8: 13 bits in 16": dicom(8191, bits=16),
    "1/16: 12 bits in 16": dicom(4095, bits=16),
    "1/16: 12 bits in 16, MONOCHROME1": inverse(4095, bits=16),
    "signed, 0 to 16383": dicom(16383, bits=-16),
    "signed, 0 to 32767": dicom(32767, bits=-16),
    "signed, -1024 to 3071": dicom(3071, bits=-16, low=-1024),
    "1000 to 2000 of 4096": dicom(2000, bits=12, low=1000),
    "window of 16 bits on 12": dicom(4095, bits=12, WindowCenter=32767, WindowWidth=65535),
    "window of 8 bits on 12": dicom(4095, bits=12, WindowCenter=128, WindowWidth=256),
    "PNG of 12 bits in 16": raster(".png", 4095),
    "PNG of 14 bits in 16": raster(".png", 16383),
    "TIFF of 12 bits in 16": raster(".tif", 4095),
    "TIFF of 15 bits in signed 16": raster(".tif", 32767, "i2"),
}


def films(folder: Path, count: int) -> Iterator[Levels]:
    for finding in ("NORMAL", "PNEUMONIA"):
        paths = sorted((folder / finding).iterdir())
        for path in paths[:: max(1, len(paths) // count)][:count]:
            with Image.open(path) as image:
                yield np.asarray(image.convert("L")) / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--films", type=int, default=60, help="of each finding")
    arguments = parser.parse_args()
    inputs: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as scratch:
        for levels in films(arguments.folder, arguments.films):
            for name, write in VARIANTS.items():
                path = write(Path(scratch) / "film.dcm", levels)
                inputs[name].append(prepare(path).network_input)
    predictor = Predictor.open()
    answers = {name: predictor.predict(np.stack(found)) for name, found in inputs.items()}
    for name, found in answers.items():
        pairs = list(zip(answers[RIGHT], found, strict=True))
        differing = sum(right.finding != one.finding for right, one in pairs)
        unanswered = sum(one.finding is None for one in found)
        shift = np.median([abs(right.logit - one.logit) for right, one in pairs])
        print(
            f"{name:34} {differing:3} of {len(found)} differ, {unanswered} without an answer, "
            f"median change of the logit {shift:.2f}"
        )


if __name__ == "__main__":
    main()
