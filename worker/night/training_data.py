"""What a candidate learns from: a snapshot's images, read from the file store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.context import AppContext
from models.files.store import FileStore
from models.learning.snapshots import LEARNABLE, SITE, get_snapshot, snapshot_images
from models.tables.learning import DatasetSnapshot, LabelValue, SnapshotImage
from pipeline.errors import PipelineError
from pipeline.training.dataset import Dataset
from pipeline.training.job import Progress, TrainingProgress
from pipeline.types import PREPROCESSING, Split

LEAST_PATIENTS = 10  # of each finding, to learn from and to choose thresholds by
TELL_EVERY = 50
SPLITS = {Split.TRAIN: "learn from", Split.VALIDATION: "choose thresholds by"}


class NotEnoughImagesError(PipelineError):
    """One sentence: what is missing."""


class MissingImageError(PipelineError):
    """A snapshot's image is no longer in the file store."""


@dataclass(frozen=True)
class Lesson:
    """sha256s, is_site: of the learning images. groups: validation images by their origin."""

    snapshot: DatasetSnapshot
    learning: Dataset
    validation: Dataset
    sha256s: Sequence[str]
    is_site: NDArray[np.bool_]
    groups: Mapping[str, NDArray[np.bool_]]

    @property
    def site(self) -> int:
        return int(self.is_site.sum())


def read_lesson(context: AppContext, snapshot_id: int, *, progress: Progress) -> Lesson:
    """Raises NotEnoughImagesError before anything is read, MissingImageError."""
    with context.sessions() as session:
        snapshot = get_snapshot(session, snapshot_id)
        assert snapshot is not None, "snapshots are never deleted"
        parts = [snapshot_images(session, snapshot_id, split=split) for split in SPLITS]
    check_enough(dict(zip(SPLITS, parts, strict=True)))
    learned, seen = parts
    reading = _Reading(context.store, total=len(learned) + len(seen), progress=progress)
    return Lesson(
        snapshot=snapshot,
        learning=reading.dataset(learned),
        validation=reading.dataset(seen),
        sha256s=[row.sha256 for row in learned],
        is_site=np.array([row.origin == SITE for row in learned], np.bool_),
        groups={
            origin: np.array([row.origin == origin for row in seen], np.bool_)
            for origin in sorted({row.origin for row in seen})
        },
    )


def check_enough(parts: Mapping[Split, Sequence[SnapshotImage]]) -> None:
    """Raises NotEnoughImagesError."""
    for split, rows in parts.items():
        for label in LEARNABLE:
            patients = len({row.patient_hash for row in rows if row.label == label})
            if patients < LEAST_PATIENTS:
                raise NotEnoughImagesError(
                    f"{patients} patients with {label.value} to {SPLITS[split]}, "
                    f"{LEAST_PATIENTS} are needed"
                )


class _Reading:
    """Says now and then how far it is, so that it can be stopped."""

    def __init__(self, store: FileStore, *, total: int, progress: Progress) -> None:
        self._store, self._total, self._progress = store, total, progress
        self._done = 0

    def dataset(self, rows: Sequence[SnapshotImage]) -> Dataset:
        images = [self._read(row.sha256) for row in rows]
        labels = [row.label == LabelValue.PNEUMONIA for row in rows]
        patients = np.array([row.patient_hash for row in rows])
        return Dataset(np.stack(images), np.array(labels, np.uint8), patients)

    def _read(self, sha256: str) -> NDArray[np.uint8]:
        if self._done % TELL_EVERY == 0:
            self._progress(TrainingProgress(stage="read", done=self._done, total=self._total))
        self._done += 1
        try:
            return self._store.network_input(sha256, PREPROCESSING)
        except FileNotFoundError:
            raise MissingImageError(
                f"the image {sha256[:12]} of the snapshot is no longer in the file store"
            ) from None
