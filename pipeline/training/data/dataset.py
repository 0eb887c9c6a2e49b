"""Labelled radiographs, read once into one array."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import RefusedError
from pipeline.prepare.pool import DecoderPool
from pipeline.subject import UNSTATED, Subject, subject_of_tags
from pipeline.training.labelled.image import DatasetError, LabelledImage, RefusedImage
from pipeline.types import NETWORK_INPUT_SIDE

DECODE_TIMEOUT_S = 60.0  # for one image


@dataclass(frozen=True)
class Dataset:
    """images: uint8 (n, size, size); labels: uint8 (n,) in {0, 1}; patients: n names.

    origins: names of the hospitals or collections, str (n,). subjects: n. Both are empty where
    they are not known of any image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    patients: NDArray[np.str_]
    origins: NDArray[np.str_] = field(default_factory=lambda: np.array([], np.str_))
    subjects: Sequence[Subject] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def strata(self) -> NDArray[np.str_]:
        """Return str (n,): of each image population and view, else its origin (see `balance`)."""
        origins = self.origins if len(self.origins) else [""] * len(self)
        subjects = self.subjects or [UNSTATED] * len(self)
        return np.array(
            [
                f"{subject.population} {subject.view or ''}" if subject.population else origin
                for subject, origin in zip(subjects, origins, strict=True)
            ],
            np.str_,
        )

    def digest(self) -> str:
        """Of all that is learned from, in its order."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        for part in (self.images, self.labels, self.patients):
            digest.update(np.ascontiguousarray(part).data.cast("B"))
        return digest.hexdigest()

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Dataset":
        """chosen: a condition (n,), or places."""
        places = np.arange(len(self))[chosen]
        return Dataset(
            self.images[places],
            self.labels[places],
            self.patients[places],
            self.origins[places] if len(self.origins) else self.origins,
            [self.subjects[place] for place in places] if self.subjects else (),
        )


def read_images(
    images: Sequence[LabelledImage],
    *,
    size: int = 224,
    progress: Callable[[int], None] = lambda done: None,
    refused: Callable[[RefusedImage], None] | None = None,
) -> Dataset:
    """Decode every image as serving does, in contained processes, at most one a core.

    refused: called for each that cannot be read, which is left out; without it DatasetError is
    raised for the first.
    """
    inputs = np.empty((len(images), size, size), np.uint8)
    read: list[LabelledImage] = []
    processes = min(os.cpu_count() or 1, len(images))
    with DecoderPool(processes=processes, timeout_s=DECODE_TIMEOUT_S) as pool:
        answers = pool.prepare_all(image.path for image in images)
        for number, (image, answer) in enumerate(zip(images, answers, strict=True), start=1):
            if not isinstance(answer, RefusedError):
                inputs[len(read)] = _resized(answer.network_input, size)
                subject = image.subject.or_else(subject_of_tags(answer.tags))
                read.append(replace(image, subject=subject))
            elif refused is not None:
                refused(RefusedImage(image.file, str(answer)))
            else:
                raise DatasetError(f"{image.file}: {answer}")
            progress(number)
    return Dataset(
        inputs[: len(read)],
        np.array([image.label for image in read], np.uint8),
        np.array([image.patient for image in read], np.str_),
        np.array([image.origin for image in read], np.str_),
        [image.subject for image in read],
    )


def _resized(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Only small test networks want another size than serving's."""
    if size == NETWORK_INPUT_SIDE:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX))
