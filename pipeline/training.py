"""From a folder of labelled radiographs to a model version's folder."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.dataset import Dataset, DatasetError, find_examples, read_examples
from pipeline.finishing import finish
from pipeline.fitting import Progress, fit_network
from pipeline.split import split_of
from pipeline.training_config import TrainingConfig, TrainingProgress


def train(
    dataset: Path,
    output: Path,
    *,
    config: TrainingConfig,
    progress: Progress = lambda step: None,
    others: Mapping[str, Dataset] | None = None,
) -> Path:
    """Train on `dataset/train/{NORMAL,PNEUMONIA}`; return `output`, the new version's folder.

    Validation patients are taken from the training images. `dataset/test`, where there is one,
    and `others` are measured at the very end and decide nothing. Raises DatasetError,
    StartWeightsError, FileExistsError.
    """
    if output.exists():
        raise FileExistsError(f"{output} exists; a model version is never changed")
    everything = _read(dataset / "train", size=config.size, progress=progress)
    measured = dict(others or {})
    if (dataset / "test").is_dir():
        measured["test"] = _read(dataset / "test", size=config.size, progress=progress)
    learning, validation = split_dataset(everything, config=config)
    network, curves = fit_network(learning, validation, config=config, progress=progress)
    return finish(
        network, learning, validation,
        output=output, config=config, curves=curves, others=measured, progress=progress,
    )  # fmt: skip


def _read(folder: Path, *, size: int, progress: Progress) -> Dataset:
    if not folder.is_dir():
        raise DatasetError(f"expected a folder train with NORMAL and PNEUMONIA, found no {folder}")
    examples = find_examples(folder)

    def tell(done: int) -> None:
        progress(TrainingProgress(stage="read", done=done, total=len(examples)))

    return read_examples(examples, size=size, progress=tell)


def split_dataset(dataset: Dataset, *, config: TrainingConfig) -> tuple[Dataset, Dataset]:
    """Training and validation images; no patient in both. Raises DatasetError."""
    is_validation = np.array(
        [
            split_of(patient, key=config.split_key, validation_share=config.validation_share)
            == "validation"
            for patient in dataset.patients
        ]
    )
    parts = dataset.where(~is_validation), dataset.where(is_validation)
    for name, part in zip(("training", "validation"), parts, strict=True):
        if len(np.unique(part.labels)) < 2:
            raise DatasetError(f"too few patients: the {name} split lacks one of the two classes")
    return parts
