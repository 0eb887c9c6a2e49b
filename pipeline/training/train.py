"""From labelled radiographs, in a folder or in memory, to a model version's folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.inference.version_folder import check_is_new
from pipeline.training.checkpoint import checkpoint_folder, remove_checkpoints
from pipeline.training.config import TrainingConfig
from pipeline.training.dataset import Dataset, read_images
from pipeline.training.finish import finish
from pipeline.training.fit import fit_network
from pipeline.training.job import Progress, TrainingJob, TrainingProgress, WeightedProgress
from pipeline.training.labelled import FOLDER_LABELS, DatasetError, LabelledImage, open_dataset
from pipeline.training.splits import split_of
from pipeline.types import Split


def train_folder(
    dataset: Path,
    output: Path,
    *,
    config: TrainingConfig,
    progress: Progress = lambda step: None,
    test_sets: Mapping[str, Dataset] | None = None,
    card_entries: Callable[[Path], Mapping[str, Any]] = lambda folder: {},
) -> Path:
    """Train on `dataset/train/{NORMAL,PNEUMONIA}`; return `output`, the new version's folder.

    A folder without splits is all training images. Validation patients are taken from these.
    `dataset/test`, where there is one, is measured as `test_sets` are. See `TrainingJob` and
    `train` for the rest. Raises DatasetError, StartWeightsError, FileExistsError.
    """
    check_is_new(output)
    train_images, test_images = _find_images(dataset)
    total = len(train_images) + len(test_images)
    # Some 15 % of them will be validation's, which matters little to an estimate.
    weighted = WeightedProgress(progress, config=config, trained=total, evaluated=total, read=total)

    def show(done: int) -> None:
        weighted(TrainingProgress(stage="read", done=done, total=total))

    everything = read_images(train_images, size=config.size, progress=show)
    training, validation = split_dataset(everything, config=config)
    measured = dict(test_sets or {})
    if test_images:
        before = len(train_images)
        measured["test"] = read_images(
            test_images, size=config.size, progress=lambda done: show(before + done)
        )
    job = TrainingJob(
        config=config,
        training=training,
        validation=validation,
        test_sets=measured,
        card_entries=card_entries,
        progress=weighted,
    )
    return _train(job, output)


def train(job: TrainingJob, output: Path) -> Path:
    """Train on images in memory; return `output`, the new version's folder.

    An interrupted training continues after its last epoch, which is kept beside `output` until
    that is complete. Raises StartWeightsError, FileExistsError.
    """
    check_is_new(output)
    return _train(job.with_shares(), output)


def _train(job: TrainingJob, output: Path) -> Path:
    checkpoints = checkpoint_folder(output)
    network, curves = fit_network(job, checkpoints=checkpoints)
    folder = finish(network, job, curves=curves, output=output)
    remove_checkpoints(checkpoints)
    return folder


def _find_images(dataset: Path) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Return images to train on and images to test with. Raises DatasetError."""
    images = list(open_dataset(dataset))
    train_images = [image for image in images if image.split in (Split.TRAIN, None)]
    labels = {image.label for image in train_images}
    for name, label in FOLDER_LABELS.items():
        if label not in labels:
            raise DatasetError(f"{dataset}: expected images of {name} to train on, found none")
    return train_images, [image for image in images if image.split is Split.TEST]


def split_dataset(dataset: Dataset, *, config: TrainingConfig) -> tuple[Dataset, Dataset]:
    """Return training and validation images; no patient in both. Raises DatasetError."""
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
