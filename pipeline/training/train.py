"""From labelled radiographs, in a folder or in memory, to a model version's folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity.guard import Guard
from pipeline.inference.version_folder import check_is_new
from pipeline.training.checkpoint import checkpoint_folder, remove_checkpoints
from pipeline.training.config import Progress, TrainingConfig, TrainingProgress
from pipeline.training.dataset import Dataset, read_images
from pipeline.training.finish import finish
from pipeline.training.fit import fit_network
from pipeline.training.labelled import LABELS, DatasetError, LabelledImage, open_dataset
from pipeline.training.progress import TrainingPlan
from pipeline.training.splits import split_of
from pipeline.types import Split


def train(
    dataset: Path,
    output: Path,
    *,
    config: TrainingConfig,
    progress: Progress = lambda step: None,
    others: Mapping[str, Dataset] | None = None,
    extras: Callable[[Path], Mapping[str, Any]] = lambda folder: {},
) -> Path:
    """Train on `dataset/train/{NORMAL,PNEUMONIA}`; return `output`, the new version's folder.

    A folder without splits is all training images. Validation patients are taken from these.
    `dataset/test`, where there is one, is measured as `others` are. See `train_on` for these and
    the rest. Raises DatasetError, StartWeightsError, FileExistsError.
    """
    check_is_new(output)
    train_images, test_images = _find(dataset)
    total = len(train_images) + len(test_images)
    # Some 15 % of them will be validation's, which matters little to an estimate.
    plan = TrainingPlan(progress, read=total, learned=total, judged=total, config=config)

    def show(done: int) -> None:
        plan(TrainingProgress(stage="read", done=done, total=total))

    everything = read_images(train_images, size=config.size, progress=show)
    learning, validation = split_dataset(everything, config=config)
    measured = dict(others or {})
    if test_images:
        before = len(train_images)
        measured["test"] = read_images(
            test_images, size=config.size, progress=lambda done: show(before + done)
        )
    return _train(
        learning, validation, output,
        config=config, plan=plan, others=measured, extras=extras,
    )  # fmt: skip


def train_on(
    learning: Dataset,
    validation: Dataset,
    output: Path,
    *,
    config: TrainingConfig,
    progress: Progress = lambda step: None,
    places: NDArray[np.intp] | None = None,
    groups: Mapping[str, NDArray[np.bool_]] | None = None,
    guard: Guard | None = None,
    others: Mapping[str, Dataset] | None = None,
    extras: Callable[[Path], Mapping[str, Any]] = lambda folder: {},
) -> Path:
    """Train on images in memory; return `output`, the new version's folder.

    places: which of the images an epoch learns from, intp (m,), some perhaps several times; None
    for each of them once. The guard learns from all of them, or is the one given.
    groups: which of the validation images belong together, bool (n,), by name: temperature and
    thresholds must do for each group (see `finish`). others: measured at the very end, decide
    nothing. extras: see `finish`.
    An interrupted training goes on from its last epoch, which is kept beside `output` until that
    is complete. Raises StartWeightsError, FileExistsError.
    """
    check_is_new(output)
    judged = len(learning) + len(validation) + sum(map(len, (others or {}).values()))
    learned = len(learning) if places is None else len(places)
    plan = TrainingPlan(progress, learned=learned, judged=judged, config=config)
    return _train(
        learning, validation, output,
        config=config, plan=plan, places=places, groups=groups, guard=guard,
        others=others, extras=extras,
    )  # fmt: skip


def _train(
    learning: Dataset,
    validation: Dataset,
    output: Path,
    *,
    config: TrainingConfig,
    plan: TrainingPlan,
    places: NDArray[np.intp] | None = None,
    **finishing: Any,
) -> Path:
    checkpoints = checkpoint_folder(output)
    network, curves = fit_network(
        learning, validation,
        config=config, progress=plan, places=places, checkpoints=checkpoints,
    )  # fmt: skip
    folder = finish(
        network, learning, validation,
        output=output, config=config, curves=curves, progress=plan, **finishing,
    )  # fmt: skip
    remove_checkpoints(checkpoints)
    return folder


def _find(dataset: Path) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Images to train on and images to test with. Raises DatasetError."""
    images = list(open_dataset(dataset))
    train_images = [image for image in images if image.split in (Split.TRAIN, None)]
    labels = {image.label for image in train_images}
    for name, label in LABELS.items():
        if label not in labels:
            raise DatasetError(f"{dataset}: expected images of {name} to train on, found none")
    return train_images, [image for image in images if image.split is Split.TEST]


def split_dataset(dataset: Dataset, *, config: TrainingConfig) -> tuple[Dataset, Dataset]:
    """Training and validation images; no patient in both. Raises DatasetError."""
    is_validation = np.array(
        [
            split_of(patient, key=config.split_key, validation_share=config.validation_share)
            is Split.VALIDATION
            for patient in dataset.patients
        ]
    )
    parts = dataset.where(~is_validation), dataset.where(is_validation)
    for name, part in zip(("training", "validation"), parts, strict=True):
        if len(np.unique(part.labels)) < 2:
            raise DatasetError(f"too few patients: the {name} split lacks one of the two classes")
    return parts
