"""Trainings on folds of patients or of origins, each of which can be resumed.

What a fold's network says of the patients that it was not trained on is kept: together the folds
give an answer for every patient, for choosing a recipe and for calibration.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.atomic_file import temporary_file
from pipeline.inference.gradcam import FEATURE_MAP, HEAD
from pipeline.training.config import TrainingConfig
from pipeline.training.data.dataset import Dataset
from pipeline.training.data.splits import patient_fold
from pipeline.training.fit import fit_network
from pipeline.training.framework import keras, tf
from pipeline.training.job import Progress, TrainingJob

Floats = NDArray[np.float32]
BATCH = 64


@dataclass(frozen=True)
class Answers:
    """What a network says of n images. logits: (n,). heatmaps: (n, h, w), not negative."""

    logits: Floats
    heatmaps: Floats


@dataclass(frozen=True)
class Fold:
    """held_out: bool (n,), the images that the fold's network is judged by."""

    name: str
    held_out: NDArray[np.bool_]


def patient_folds(dataset: Dataset, *, folds: int) -> list[Fold]:
    numbers = np.array([patient_fold(name, folds=folds) for name in dataset.patients])
    return [Fold(f"{number + 1}-of-{folds}", numbers == number) for number in range(folds)]


def origin_folds(dataset: Dataset) -> list[Fold]:
    """Leave one origin out; images of its patients in other origins are held out, too."""
    return [
        Fold(f"without-{origin}", np.isin(dataset.patients, patients))
        for origin in np.unique(dataset.origins)
        for patients in [dataset.patients[dataset.origins == origin]]
    ]


def sample(dataset: Dataset, *, images: int, seed: int) -> Dataset:
    """At most so many of each class of each population and view; for a quick look."""
    random = np.random.default_rng(seed)
    cells = np.char.add(dataset.strata, dataset.labels.astype(str))
    chosen = [
        random.permutation(np.flatnonzero(cells == cell))[:images] for cell in np.unique(cells)
    ]
    return dataset.where(np.sort(np.concatenate(chosen)))


def fit_fold(
    dataset: Dataset,
    fold: Fold,
    questions: Mapping[str, NDArray[np.uint8]],
    *,
    config: TrainingConfig,
    folder: Path,
    images: int | None = None,
    progress: Progress = lambda step: None,
) -> dict[str, Answers]:
    """Train without the fold's images, or read what an earlier run kept in the folder.

    questions: images by name, uint8 (n, size, size), to answer. images: see `sample`. The network
    is kept, too.
    """
    kept = folder / f"{fold.name}.npz"
    if kept.is_file():
        return read_answers(kept)
    training, held_out = dataset.where(~fold.held_out), dataset.where(fold.held_out)
    if images is not None:
        training = sample(training, images=images, seed=config.seed)
    job = TrainingJob(config=config, training=training, validation=held_out, progress=progress)
    checkpoints = folder / f".{fold.name}.training"
    network, _ = fit_network(job, checkpoints=checkpoints)
    answers = {name: answer(network, asked) for name, asked in questions.items()}
    network.save(folder / f"{fold.name}.keras")
    with temporary_file(folder) as temporary:
        arrays: dict[str, Any] = dict(_arrays(answers))
        np.savez(temporary.file, **arrays)
        temporary.rename(kept)
    rmtree(checkpoints, ignore_errors=True)
    return answers


def answer(network: keras.Model, images: NDArray[np.uint8]) -> Answers:
    """images: uint8 (n, size, size). The heatmaps are the closed form's (see `gradcam`)."""
    feature_map = network.get_layer(FEATURE_MAP).output
    maps = keras.Model(network.input, [feature_map, network.output])
    kernel = network.get_layer(HEAD).kernel[:, 0]

    @tf.function(autograph=False, jit_compile=False)  # type: ignore[untyped-decorator]
    def compute(batch: Any) -> tuple[Any, Any]:
        features, logits = maps(batch, training=False)
        return logits[:, 0], tf.nn.relu(tf.linalg.matvec(features, kernel))

    parts = [compute(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    logits, heatmaps = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Answers(logits, heatmaps)


def read_answers(path: Path) -> dict[str, Answers]:
    with np.load(path) as stored:
        names = sorted({key.partition(": ")[2] for key in stored.files})
        return {
            name: Answers(*(stored[f"{field.name}: {name}"] for field in fields(Answers)))
            for name in names
        }


def join(parts: Mapping[str, Answers], folds: Sequence[Fold]) -> Answers:
    """Return answers on all images, each by the fold that held it out. parts: by fold's name."""
    places = np.concatenate([np.flatnonzero(fold.held_out) for fold in folds])
    logits, heatmaps = (
        np.concatenate([getattr(parts[fold.name], field.name) for fold in folds])[
            np.argsort(places)
        ]
        for field in fields(Answers)
    )
    return Answers(logits, heatmaps)


def _arrays(answers: Mapping[str, Answers]) -> Iterator[tuple[str, Floats]]:
    for name, one in answers.items():
        for field in fields(Answers):
            yield f"{field.name}: {name}", getattr(one, field.name)
