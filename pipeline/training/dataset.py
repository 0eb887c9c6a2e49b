"""A folder of labelled radiographs in the public layout, read once into one array."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.decode import decode
from pipeline.errors import PipelineError, RefusedError
from pipeline.prepare.network_input import DECODED_SIZE, SIZE, network_input
from pipeline.training.splits import patient_of

LABELS = {"NORMAL": 0, "PNEUMONIA": 1}
_SUFFIXES = {".jpeg", ".jpg", ".png", ".dcm", ".tif", ".tiff"}


class DatasetError(PipelineError):
    """The folder is not in the layout that training expects."""


@dataclass(frozen=True)
class Example:
    """One labelled file. label: 0 normal, 1 pneumonia."""

    path: Path
    label: int
    patient: str


@dataclass(frozen=True)
class Dataset:
    """images: uint8 (n, size, size); labels: uint8 (n,) in {0, 1}; patients: n names."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    patients: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """Of images, labels and patients, in their order."""
        parts = (self.images, self.labels, self.patients)
        digest = hashlib.sha256(str(self.images.shape).encode())
        for part in parts:
            digest.update(np.ascontiguousarray(part).data.cast("B"))
        return digest.hexdigest()

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Dataset":
        """chosen: a condition (n,), or places."""
        return Dataset(self.images[chosen], self.labels[chosen], self.patients[chosen])


def find_examples(folder: Path) -> list[Example]:
    """The files of `folder/NORMAL` and `folder/PNEUMONIA`, sorted. Raises DatasetError."""
    examples = []
    for name, label in LABELS.items():
        if not (folder / name).is_dir():
            raise DatasetError(f"expected a folder {name} in {folder}, found none")
        files = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in _SUFFIXES)
        if not files:
            raise DatasetError(f"expected radiographs in {folder / name}, found none")
        examples += [Example(path, label, patient_of(path.name)) for path in files]
    return examples


def read_examples(
    examples: Sequence[Example],
    *,
    size: int = 224,
    progress: Callable[[int], None] = lambda done: None,
) -> Dataset:
    """Decode every example by the functions that serving uses. Raises DatasetError."""
    images = np.empty((len(examples), size, size), np.uint8)
    for place, example in enumerate(examples):
        images[place] = _read_one(example.path, size=size)
        progress(place + 1)
    return Dataset(
        images,
        np.array([example.label for example in examples], np.uint8),
        np.array([example.patient for example in examples]),
    )


def _read_one(path: Path, *, size: int) -> NDArray[np.uint8]:
    try:
        pixels = network_input(decode(path, minimum_size=DECODED_SIZE))
    except RefusedError as error:
        raise DatasetError(f"{path.name}: {error}") from error
    if size == SIZE:
        return pixels
    # Only small test networks want another size than serving's.
    small = Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX)
    return np.asarray(small)
