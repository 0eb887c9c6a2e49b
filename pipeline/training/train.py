"""From labelled radiographs, in a folder or in memory, to a model version's folder."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import numpy as np
from numpy.typing import NDArray

from pipeline.inference.version_folder import check_is_new
from pipeline.inference.without_vnni import check_has_vnni
from pipeline.text import plural
from pipeline.training.checkpoint import checkpoint_folder
from pipeline.training.config import TrainingConfig
from pipeline.training.data.balance import one_class_origins
from pipeline.training.data.dataset import Dataset, read_images
from pipeline.training.data.splits import split_of
from pipeline.training.job import Progress, TrainingJob, TrainingProgress, WeightedProgress
from pipeline.training.labelled.contents import read_contents
from pipeline.training.labelled.dataset import open_dataset
from pipeline.training.labelled.folder import FOLDER_LABELS
from pipeline.training.labelled.image import DatasetError, LabelledImage, RefusedImage
from pipeline.types import LABELS, Split

NAMES = {label: name for name, label in LABELS.items()}


def train_sets(
    sets: Sequence[Path],
    output: Path,
    *,
    config: TrainingConfig,
    progress: Progress = lambda step: None,
) -> Path:
    """Train on labelled folders, CSVs or manifests; return `output`, the new version's folder.

    Raises what `read_job` and `train` do.
    """
    check_can_export(output, config)  # before the images are read
    return train(read_job(sets, config=config, progress=progress), output)


def read_job(
    sets: Sequence[Path], *, config: TrainingConfig, progress: Progress = lambda step: None
) -> TrainingJob:
    """Return the training of what `read_sets` reads; validation patients are taken from it."""
    everything, test = read_sets(sets, config=config, progress=progress)
    training, validation = split_dataset(everything, config=config)
    return TrainingJob(
        config=config,
        training=training,
        validation=validation,
        groups=population_groups(validation),
        test_sets={"test": test} if len(test) else {},
        progress=progress,
    )


def read_sets(
    sets: Sequence[Path], *, config: TrainingConfig, progress: Progress = lambda step: None
) -> tuple[Dataset, Dataset]:
    """Read each set's `train/{NORMAL,PNEUMONIA}`, or a set without splits, and its test images.

    A patient's name means the same in all sets. Copies count once, images with contradictory labels
    and origins of which only one class is known not at all. Files that cannot be read are left
    out; each is a step `refused` of the progress. Raises DatasetError.
    """
    refusals = 0

    def refuse(one: RefusedImage) -> None:
        nonlocal refusals
        refusals += 1
        text = f"{one.file}: {one.reason}"
        progress(TrainingProgress(stage="refused", done=refusals, total=refusals, text=text))

    def note(text: str) -> None:
        progress(TrainingProgress(stage="note", done=0, total=0, text=text))

    train_images, test_images = _find_images(sets, refuse=refuse, note=note)
    total = len(train_images) + len(test_images)

    def read(images: list[LabelledImage], *, before: int) -> Dataset:
        def show(done: int) -> None:
            progress(TrainingProgress(stage="read", done=before + done, total=total))

        return read_images(images, size=config.size, progress=show, refused=refuse)

    return read(train_images, before=0), read(test_images, before=len(train_images))


def train(job: TrainingJob, output: Path) -> Path:
    """Train on images in memory; return `output`, the new version's folder.

    An interrupted training continues after its last epoch, which is kept beside `output` until
    that is complete. Raises StartWeightsError, UnequalPredictionsError, FileExistsError.
    """
    from pipeline.training.finish import finish  # imports TensorFlow
    from pipeline.training.fit import fit_network

    check_can_export(output, job.config)
    evaluated = job.training, job.validation, *job.test_sets.values()
    weighted = WeightedProgress(
        job.progress,
        config=job.config,
        trained=len(job.epoch.indices),
        evaluated=sum(map(len, evaluated)),
    )
    job, checkpoints = replace(job, progress=weighted), checkpoint_folder(output)
    network, curves = fit_network(job, checkpoints=checkpoints)
    folder = finish(network, job, curves=curves, output=output)
    rmtree(checkpoints, ignore_errors=True)
    return folder


def check_can_export(output: Path, config: TrainingConfig) -> None:
    """Raises FileExistsError, UnequalPredictionsError."""
    check_is_new(output)
    if config.precision == "int8":
        check_has_vnni()


def _find_images(
    sets: Sequence[Path], *, refuse: Callable[[RefusedImage], None], note: Callable[[str], None]
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Return images to train on and images to test with. Raises DatasetError."""
    opened = [open_dataset(place) for place in sets]
    # A list: a CSV that cannot be read to its end is refused before any file is hashed.
    contents = read_contents([image for one in opened for image in one], refused=refuse)
    for text in (*(text for one in opened for text in one.notes()), *contents.notes()):
        note(text)
    images = [blob.counted for blob in contents.blobs]
    if unused := sum(image.split is Split.VALIDATION for image in images):
        count = plural(unused, "image")
        note(f"{count} of the split val not used: validation patients are taken from train")
    train_images = [image for image in images if image.split in (Split.TRAIN, None)]
    labels = {image.label for image in train_images}
    for name, label in FOLDER_LABELS.items():
        if label not in labels:
            names = ", ".join(map(str, sets))
            raise DatasetError(f"{names}: expected images of {name} to train on, found none")
    train_images = _learnable(train_images, note=note)
    return train_images, [image for image in images if image.split is Split.TEST]


def _learnable(
    images: Sequence[LabelledImage], *, note: Callable[[str], None]
) -> list[LabelledImage]:
    """Return the images of origins with both classes. Raises DatasetError if there are none."""
    labels = [image.label for image in images]
    lacking = one_class_origins(labels, [image.origin for image in images])
    for origin, label in lacking.items():
        count = plural(sum(image.origin == origin for image in images), "image")
        note(
            f"{origin}: {count} not learned from, since only {NAMES[label]} is known of this "
            "origin: a network would learn the hospital. It can still be evaluated."
        )
    learnable = [image for image in images if image.origin not in lacking]
    if not learnable:
        raise DatasetError("no origin has images of both classes: a network would learn hospitals")
    return learnable


def split_dataset(dataset: Dataset, *, config: TrainingConfig) -> tuple[Dataset, Dataset]:
    """Return training and validation images; no patient in both. Raises DatasetError."""
    is_validation = np.array(
        [
            split_of(patient, key=config.split_key, validation_share=config.validation_share)
            is Split.VALIDATION
            for patient in dataset.patients
        ],
        np.bool_,
    )
    parts = dataset.where(~is_validation), dataset.where(is_validation)
    for name, part in zip(("training", "validation"), parts, strict=True):
        if len(np.unique(part.labels)) < 2:
            raise DatasetError(f"too few patients: the {name} split lacks one of the two classes")
    return parts


def population_groups(dataset: Dataset) -> dict[str, NDArray[np.bool_]]:
    """Return which images are of which population, as far as it is known."""
    names = np.array([subject.population or "" for subject in dataset.subjects], np.str_)
    return {str(name): names == name for name in np.unique(names) if name}
