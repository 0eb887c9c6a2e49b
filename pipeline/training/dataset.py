"""Labelled radiographs, read once into one array."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.decode import decode
from pipeline.errors import RefusedError
from pipeline.prepare.network_input import DECODED_SIZE, SIZE, network_input
from pipeline.training.labelled.image import DatasetError, LabelledImage, RefusedImage


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
        digest = hashlib.sha256(str(self.images.shape).encode())
        for part in (self.images, self.labels, self.patients):
            digest.update(np.ascontiguousarray(part).data.cast("B"))
        return digest.hexdigest()

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Dataset":
        """chosen: a condition (n,), or places."""
        return Dataset(self.images[chosen], self.labels[chosen], self.patients[chosen])


def read_images(
    images: Sequence[LabelledImage],
    *,
    size: int = 224,
    progress: Callable[[int], None] = lambda done: None,
    refused: Callable[[RefusedImage], None] | None = None,
) -> Dataset:
    """Decode every image by the functions that serving uses.

    refused: called for each that cannot be read, which is left out; without it DatasetError is
    raised for the first.
    """
    inputs = np.empty((len(images), size, size), np.uint8)
    read: list[LabelledImage] = []
    for number, image in enumerate(images, start=1):
        try:
            inputs[len(read)] = _read_one(image, size=size)
            read.append(image)
        except RefusedError as error:
            if refused is None:
                raise DatasetError(f"{image.file}: {error}") from error
            refused(RefusedImage(image.file, str(error)))
        progress(number)
    return Dataset(
        inputs[: len(read)],
        np.array([image.label for image in read], np.uint8),
        np.array([image.patient for image in read], np.str_),
    )


def _read_one(image: LabelledImage, *, size: int) -> NDArray[np.uint8]:
    """Raises RefusedError."""
    pixels = network_input(decode(image.path, minimum_size=DECODED_SIZE))
    if size == SIZE:
        return pixels
    # Only small test networks want another size than serving's.
    small = Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX)
    return np.asarray(small)
