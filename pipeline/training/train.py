"""From labelled radiographs, in a folder or in memory, to a model version's folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity.guard import Guard
from pipeline.inference.version_folder import check_is_new
from pipeline.training.checkpoint import checkpoint_folder, remove_checkpoints
from pipeline.training.config import Progress, TrainingConfig, TrainingProgress
from pipeline.training.dataset import Dataset, DatasetError, Example, find_examples, read_examples
from pipeline.training.finish import finish
from pipeline.training.fit import fit_network
from pipeline.training.progress import TrainingPlan
from pipeline.training.splits import split_of


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
    is measured as `others` are. See `train_on` for these and the rest. Raises DatasetError,
    StartWeightsError, FileExistsError.
    """
    check_is_new(output)
    examples = _find(dataset)
    images = sum(map(len, examples.values()))
    # Of which some 15 % will be validation's; nobody minds that in an estimate.
    plan = TrainingPlan(progress, read=images, learned=images, judged=images, config=config)
    read = _read(examples, size=config.size, progress=plan)
    learning, validation = split_dataset(read.pop("train"), config=config)
    return _train(
        learning, validation, output,
        config=config, plan=plan, others=dict(others or {}) | read, extras=extras,
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
