"""Checkpoints: what an interrupted training needs to resume with the same result."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pipeline.atomic_file import temporary_file
from pipeline.training.job import TrainingJob


@dataclass
class LearningCurves:
    """One number per epoch; the `head_epochs` of the head come first.

    Losses are binary cross-entropies with both classes weighing the same; the training loss is
    over augmented images, so it may lie above validation's.
    """

    head_epochs: int = 0
    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_auroc: list[float] = field(default_factory=list)


FILE = "checkpoint.npz"


@dataclass(frozen=True)
class Checkpoint:
    """After the head (epochs_done is 0) or an epoch of fine-tuning.

    weights: the network's, as the optimizer left them, not their average.
    optimizer: its variables, in its order: step count, moments, and the weights' average.

    No random state is needed: order, augmentation and dropout follow from seed, epoch and step.
    """

    epochs_done: int
    weights: Sequence[NDArray[np.float32]]
    optimizer: Sequence[NDArray[Any]]
    curves: LearningCurves


def training_key(job: TrainingJob) -> str:
    """Equal for trainings that would do the same: config, images, labels and start weights."""
    config = job.config
    digest = hashlib.sha256(json.dumps(config.as_json(), sort_keys=True).encode())
    digest.update(job.epoch.indices.astype(np.int64).tobytes())
    digest.update(job.epoch.weights.tobytes())
    for part in (job.training, job.validation):
        digest.update(part.digest().encode())
    if isinstance(config.start_weights, Path) and config.start_weights.is_file():
        digest.update(hashlib.sha256(config.start_weights.read_bytes()).digest())
    return digest.hexdigest()


def checkpoint_folder(output: Path) -> Path:
    """Beside the version's folder, so that it can be renamed on the same disk."""
    return output.with_name(f".{output.name}.training")


def save_checkpoint(checkpoint: Checkpoint, folder: Path, *, key: str) -> None:
    """Replace the last checkpoint as a whole: a killed process leaves the last one intact."""
    folder.mkdir(parents=True, exist_ok=True)
    head = {"key": key, "epochs_done": checkpoint.epochs_done, "curves": asdict(checkpoint.curves)}
    arrays: dict[str, Any] = {f"weights_{n}": value for n, value in enumerate(checkpoint.weights)}
    arrays |= {f"optimizer_{n}": value for n, value in enumerate(checkpoint.optimizer)}
    with temporary_file(folder) as temporary:
        np.savez(temporary.file, head=np.array(json.dumps(head)), **arrays)
        temporary.rename(folder / FILE)


def load_checkpoint(folder: Path, *, key: str) -> Checkpoint | None:
    """None where there is none, or none of this training."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as stored:
            head = json.loads(str(stored["head"]))
            if head["key"] != key:
                return None
            return Checkpoint(
                epochs_done=head["epochs_done"],
                weights=_numbered(stored, "weights"),
                optimizer=_numbered(stored, "optimizer"),
                curves=LearningCurves(**head["curves"]),
            )
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def has_checkpoint(folder: Path) -> bool:
    return (folder / FILE).is_file()


def _numbered(stored: Any, name: str) -> list[NDArray[Any]]:
    count = sum(entry.startswith(f"{name}_") for entry in stored.files)
    return [stored[f"{name}_{n}"] for n in range(count)]
