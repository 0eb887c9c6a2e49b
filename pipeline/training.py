"""From a folder of labelled radiographs to a model version's folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.checkpoint import checkpoint_folder, remove_checkpoints
from pipeline.dataset import Dataset, DatasetError, Example, find_examples, read_examples
from pipeline.finishing import finish
from pipeline.fitting import fit_network
from pipeline.split import split_of
from pipeline.training_config import Progress, TrainingConfig, TrainingProgress
from pipeline.training_plan import TrainingPlan


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

    Validation patients are taken from the training images. `dataset/test`, where there is one,
    and `others` are measured at the very end and decide nothing; extras: see `finish`. An
    interrupted training goes on from its last epoch, which is kept beside `output` until that is
    complete. Raises DatasetError, StartWeightsError, FileExistsError.
    """
    if output.exists():
        raise FileExistsError(f"{output} exists; a model version is never changed")
    examples = _find(dataset)
    plan = TrainingPlan(progress, images=sum(map(len, examples.values())), config=config)
    read = _read(examples, size=config.size, progress=plan)
    learning, validation = split_dataset(read.pop("train"), config=config)
    checkpoints = checkpoint_folder(output)
    network, curves = fit_network(
        learning, validation, config=config, progress=plan, checkpoints=checkpoints
    )
    folder = finish(
        network, learning, validation,
        output=output, config=config, curves=curves, others=dict(others or {}) | read,
        progress=plan, extras=extras,
    )  # fmt: skip
    remove_checkpoints(checkpoints)
    return folder


def _find(dataset: Path) -> dict[str, list[Example]]:
    if not (dataset / "train").is_dir():
        raise DatasetError(
            f"expected a folder train with NORMAL and PNEUMONIA, found no {dataset / 'train'}"
        )
    names = ["train", *(["test"] if (dataset / "test").is_dir() else [])]
    return {name: find_examples(dataset / name) for name in names}


def _read(
    examples: Mapping[str, Sequence[Example]], *, size: int, progress: Progress
) -> dict[str, Dataset]:
    total = sum(map(len, examples.values()))
    before = 0

    def tell(done: int) -> None:
        progress(TrainingProgress(stage="read", done=before + done, total=total))

    read = {}
    for name, part in examples.items():
        read[name] = read_examples(part, size=size, progress=tell)
        before += len(part)
    return read


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
