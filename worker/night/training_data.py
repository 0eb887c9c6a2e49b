"""The training data of a candidate: a snapshot's images, read from the file store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.context import AppContext
from models.learning.snapshots import LEARNABLE, SITE, snapshot_images, tags_of_images
from models.tables.learning import LabelValue, SnapshotImage
from pipeline.errors import PipelineError
from pipeline.subject import subject_of_tags
from pipeline.training.data.balance import one_class_origins
from pipeline.training.data.dataset import Dataset
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
    """sha256s, is_site: of the training images. groups: validation images by their origin.

    one_class_origins: whose images of one class alone are not learned from.
    """

    training: Dataset
    validation: Dataset
    sha256s: Sequence[str]
    is_site: NDArray[np.bool_]
    groups: Mapping[str, NDArray[np.bool_]]
    one_class_origins: Sequence[str]

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
        site = [row.sha256 for row in (*train, *validation) if row.origin == SITE]
        tags = tags_of_images(session, site)
    lacking = one_class_origins([row.label for row in train], [row.origin for row in train])
    train = [row for row in train if row.origin not in lacking]
    _check_enough({Split.TRAIN: train, Split.VALIDATION: validation}, lacking)
    inputs = _read_inputs(context, [*train, *validation], progress)
    return TrainingData(
        training=_dataset(train, inputs, tags),
        validation=_dataset(validation, inputs, tags),
        sha256s=[row.sha256 for row in train],
        is_site=np.array([row.origin == SITE for row in train], np.bool_),
        groups={
            origin: np.array([row.origin == origin for row in validation], np.bool_)
            for origin in sorted({row.origin for row in validation})
        },
        one_class_origins=sorted(lacking),
    )


def _check_enough(
    splits: Mapping[Split, Sequence[SnapshotImage]], lacking: Mapping[str, LabelValue]
) -> None:
    left_out = "".join(
        f"; {origin} is left out, since only {label.value} is known of it"
        for origin, label in sorted(lacking.items())
    )
    for split, rows in splits.items():
        for label in LEARNABLE:
            patients = len({row.patient_hash for row in rows if row.label == label})
            if patients < MIN_PATIENTS:
                raise NotEnoughImagesError(
                    f"{patients} patients with {label.value} to {PURPOSES[split]}, "
                    f"{MIN_PATIENTS} are needed{left_out}"
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


def _dataset(
    rows: Sequence[SnapshotImage],
    inputs: Iterator[NDArray[np.uint8]],
    tags: Mapping[str, Mapping[str, str]],
) -> Dataset:
    return Dataset(
        images=np.stack([next(inputs) for _ in rows]),
        labels=np.array([row.label == LabelValue.PNEUMONIA for row in rows], np.uint8),
        patients=np.array([row.patient_hash for row in rows]),
        origins=np.array([row.origin for row in rows]),
        subjects=[subject_of_tags(tags.get(row.sha256, {})) for row in rows],
    )
