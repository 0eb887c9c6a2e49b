"""Heatmaps of a version on the boxed images of a folder, with the randomisation check."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.randomisation import DRAWS, randomise_version
from pipeline.decode.decode import decode
from pipeline.errors import RefusedError
from pipeline.evaluation.heatmaps.boxes import BoxedImage, BoxesError, read_boxes
from pipeline.evaluation.heatmaps.scores import score_heatmaps
from pipeline.inference.engine import load_engine
from pipeline.prepare.network_input import DECODED_SIZE, network_input

BOXES_FILE = "boxes.csv"


def score_external(folder: Path, external: Path, *, draws: int = DRAWS) -> dict[str, Any]:
    """Score the version in `folder` on `external/boxes.csv`; the version may still lack its card.

    All boxed images count, whatever the network says of them, each as of another patient. draws:
    of the randomisation, which imports TensorFlow; two cores take half a minute. The answer fits
    into JSON. Raises BoxesError, NetworkFolderError.
    """
    images = read_boxes(external / BOXES_FILE)
    inputs = read_inputs(images)
    heatmaps = load_engine(folder).infer(inputs).heatmaps
    patients = np.arange(len(images))
    scores = score_heatmaps(heatmaps, images, network_inputs=inputs, patients=patients)
    return scores | {"randomisation": randomise_version(folder, inputs, draws=draws)}


def read_inputs(images: Sequence[BoxedImage]) -> NDArray[np.uint8]:
    """uint8 (n, 224, 224), as serving would read them. Raises BoxesError."""
    inputs = []
    for image in images:
        try:
            inputs.append(network_input(decode(image.path, minimum_size=DECODED_SIZE)))
        except RefusedError as error:
            raise BoxesError(f"{image.path.name}: {error}") from error
    return np.stack(inputs)
