"""The training data of a candidate: a snapshot's images, read from the file store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.context import AppContext
from models.learning.snapshots import LEARNABLE, SITE, snapshot_images
from models.tables.learning import LabelValue, SnapshotImage
from pipeline.errors import PipelineError
from pipeline.training.dataset import Dataset
from pipeline.training.job import Progress, TrainingProgress
from pipeline.types import PREPROCESSING, Split
from worker.night.inputs import read_input

MIN_PATIENTS = 10  # of each label in each split
REPORT_EVERY = 50
PURPOSES = {Split.TRAIN: "train on", Split.VALIDATION: "choose thresholds by"}


class NotEnoughImagesError(PipelineError):
    """There is too little to train on; the message says what is missing."""


@dataclass(frozen=True)
class TrainingData:
    """sha256s, is_site: of the training images. groups: validation images by their origin."""

    training: Dataset
    validation: Dataset
    sha256s: Sequence[str]
    is_site: NDArray[np.bool_]
    groups: Mapping[str, NDArray[np.bool_]]

    @property
    def site_images(self) -> int:
        return int(self.is_site.sum())


def read_training_data(
    context: AppContext, snapshot_id: int, *, progress: Progress
) -> TrainingData:
    """Raises NotEnoughImagesError before anything is read, MissingInputError."""
    with context.sessions() as session:
        train, validation = (
            snapshot_images(session, snapshot_id, split=split) for split in PURPOSES
        )
    _check_enough({Split.TRAIN: train, Split.VALIDATION: validation})
    inputs = _read_inputs(context, [*train, *validation], progress)
    return TrainingData(
        training=_dataset(train, inputs),
        validation=_dataset(validation, inputs),
        sha256s=[row.sha256 for row in train],
        is_site=np.array([row.origin == SITE for row in train], np.bool_),
        groups={
            origin: np.array([row.origin == origin for row in validation], np.bool_)
            for origin in sorted({row.origin for row in validation})
        },
    )


def _check_enough(splits: Mapping[Split, Sequence[SnapshotImage]]) -> None:
    for split, rows in splits.items():
        for label in LEARNABLE:
            patients = len({row.patient_hash for row in rows if row.label == label})
            if patients < MIN_PATIENTS:
                raise NotEnoughImagesError(
                    f"{patients} patients with {label.value} to {PURPOSES[split]}, "
                    f"{MIN_PATIENTS} are needed"
                )


def _read_inputs(
    context: AppContext, rows: Sequence[SnapshotImage], progress: Progress
) -> Iterator[NDArray[np.uint8]]:
    for done, (_, network_input) in enumerate(snapshot_inputs(context, rows, PREPROCESSING)):
        if done % REPORT_EVERY == 0:
            progress(TrainingProgress(stage="read", done=done, total=len(rows)))
        yield network_input


def snapshot_inputs(
    context: AppContext, rows: Iterable[SnapshotImage], preprocessing: str
) -> Iterator[tuple[SnapshotImage, NDArray[np.uint8]]]:
    """uint8 (224, 224) for each. Raises MissingInputError."""
    for row in rows:
        yield row, read_input(context, row.sha256, preprocessing)


def _dataset(rows: Sequence[SnapshotImage], inputs: Iterator[NDArray[np.uint8]]) -> Dataset:
    images = np.stack([next(inputs) for _ in rows])
    labels = np.array([row.label == LabelValue.PNEUMONIA for row in rows], np.uint8)
    return Dataset(images, labels, np.array([row.patient_hash for row in rows]))
