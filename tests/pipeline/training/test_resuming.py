"""Trainings that continue from a checkpoint."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from pickle import PicklingError
from typing import NamedTuple

import numpy as np
import pytest

from pipeline.training.checkpoint import (
    Checkpoint,
    LearningCurves,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
    training_key,
)
from pipeline.training.data.balance import Epoch
from pipeline.training.data.dataset import Dataset, read_images
from pipeline.training.job import Progress, TrainingJob, TrainingProgress
from pipeline.training.labelled.folder import LabelledFolder
from pipeline.training.train import split_dataset
from tests.support.imaging.networks import TOY, write_dataset, write_start_weights

START_WEIGHTS = "start.keras"
KILLED_AT = 8  # of five steps an epoch: in the middle of the second
SCRIPT = """
import os, signal, sys
from pathlib import Path
from pipeline.training.fit import fit_network
from tests.pipeline.training.test_resuming import KILLED_AT, make_job

def tell(step):
    if step.stage == "fine-tune" and step.done == KILLED_AT:
        os.kill(os.getpid(), signal.SIGKILL)

folder, checkpoints = Path(sys.argv[1]), Path(sys.argv[2])
fit_network(make_job(folder, progress=tell), checkpoints=checkpoints)
"""


def make_job(folder: Path, *, progress: Progress = lambda step: None) -> TrainingJob:
    weights = folder / START_WEIGHTS
    config = replace(TOY, epochs=3, head_epochs=1, learning_rate=1e-3, start_weights=weights)
    everything = read_images(list(LabelledFolder(folder / "train")), size=TOY.size)
    training, validation = split_dataset(everything, config=TOY)
    return TrainingJob(config=config, training=training, validation=validation, progress=progress)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_dataset(tmp_path_factory.mktemp("dataset"))
    write_start_weights(made / START_WEIGHTS)
    return made


@pytest.fixture(scope="module")
def uninterrupted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> "Fitted":
    """In a folder with the checkpoint of another training."""
    checkpoints = tmp_path_factory.mktemp("another")
    save_checkpoint(Checkpoint(2, [], [], LearningCurves()), checkpoints, key="another")
    return fit(folder, checkpoints=checkpoints)


class Fitted(NamedTuple):
    logits: np.ndarray  # of the validation images
    curves: LearningCurves
    steps: list[TrainingProgress]


def fit(folder: Path, *, checkpoints: Path) -> Fitted:
    from pipeline.training.fit import Forward, fit_network

    steps: list[TrainingProgress] = []
    job = make_job(folder, progress=steps.append)
    network, curves = fit_network(job, checkpoints=checkpoints)
    (logits,) = Forward(network)(job.validation.images)
    return Fitted(logits[:, 0], curves, steps)


@pytest.mark.tensorflow
def test_killed_training_continues_as_if_uninterrupted(
    folder: Path, uninterrupted: Fitted, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(folder), str(tmp_path / "kept")]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert has_checkpoint(tmp_path / "kept")

    # Its head and first epoch are the killed process's, so equal figures say that equal runs
    # agree, too.
    logits, curves, steps = fit(folder, checkpoints=tmp_path / "kept")
    expected, expected_curves, _ = uninterrupted

    assert steps[0].stage == "resume"
    assert (steps[0].done, steps[0].total) == (1, 3)
    assert "head" not in {step.stage for step in steps}
    assert len(curves.loss) == 1 + 3
    np.testing.assert_allclose(curves.loss, expected_curves.loss, atol=1e-4)
    np.testing.assert_allclose(curves.validation_auroc, expected_curves.validation_auroc, atol=1e-9)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert np.ptp(expected) > 0.03, "a network that says the same of all images tests nothing"


@pytest.mark.tensorflow
def test_make_batches_depends_on_seed_and_epoch_alone(folder: Path) -> None:
    """Another epoch has other images, augmented otherwise."""
    from pipeline.training.fine_tuning import make_batches

    learning = make_job(folder).training
    epoch = make_job(folder).epoch
    batches_of = make_batches(learning, epoch=epoch, config=TOY)
    first, second, again = (next(iter(batches_of(epoch))) for epoch in (1, 2, 1))
    reseeded = next(iter(make_batches(learning, epoch=epoch, config=replace(TOY, seed=1))(1)))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first[0].numpy() != second[0].numpy()).mean() > 0.5
    assert (first[0].numpy() != reseeded[0].numpy()).mean() > 0.5


@pytest.mark.tensorflow
def test_checkpoint_of_another_training_is_ignored(uninterrupted: Fitted) -> None:
    assert uninterrupted.steps[0].stage == "restart"
    assert "starting afresh" in uninterrupted.steps[0].text
    assert {step.stage for step in uninterrupted.steps[1:]} == {"features", "head", "fine-tune"}


@pytest.mark.tensorflow
def test_make_batches_uses_the_indices_and_weights_of_its_epoch(folder: Path) -> None:
    from pipeline.training.fine_tuning import make_batches

    learning = make_job(folder).training
    epoch = Epoch(np.array([3, 3, 3, 5]), np.arange(len(learning), dtype=np.float64))
    (batch,) = make_batches(learning, epoch=epoch, config=TOY)(0)
    images, labels, weights, places = (part.numpy() for part in batch)
    assert sorted(weights) == [3, 3, 3, 5]
    np.testing.assert_array_equal(labels[:, 0], learning.labels[weights.astype(int)])
    assert len(images) == len(places) == 4


def test_training_key_covers_config_images_indices_and_start_weights(tmp_path: Path) -> None:
    images = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    data = Dataset(images, np.array([0, 1], np.uint8), np.array(["a", "b"]))
    flipped = Dataset(images[::-1], data.labels, data.patients)
    (tmp_path / "w.keras").write_bytes(b"one")
    config = replace(TOY, start_weights=tmp_path / "w.keras")
    job = TrainingJob(config=config, training=data, validation=data)
    keys = [
        training_key(job),
        training_key(replace(job, config=replace(config, epochs=2))),
        training_key(replace(job, training=flipped)),
        training_key(replace(job, validation=flipped)),
    ]
    (tmp_path / "w.keras").write_bytes(b"two")
    keys.append(training_key(job))
    keys.append(training_key(replace(job, indices=np.array([0, 0, 1]))))
    assert len(set(keys)) == len(keys)
    assert keys[-2] == training_key(replace(job, indices=np.array([0, 1])))


def test_checkpoint_survives_a_failed_save_and_a_damaged_one_is_ignored(tmp_path: Path) -> None:
    curves = LearningCurves(1, [0.5], [0.4], [0.9])
    kept = Checkpoint(0, [np.ones(3, np.float32)], [np.array(7)], curves)
    save_checkpoint(kept, tmp_path, key="k")
    found = load_checkpoint(tmp_path, key="k")
    assert found is not None
    assert found.curves == curves
    assert found.optimizer[0] == 7
    assert load_checkpoint(tmp_path, key="other") is None
    with pytest.raises((AttributeError, PicklingError)):  # after a part was written
        save_checkpoint(replace(kept, weights=[np.array([lambda: 0])]), tmp_path, key="k")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]
    assert load_checkpoint(tmp_path, key="k") is not None
    file = tmp_path / "checkpoint.npz"
    file.write_bytes(file.read_bytes()[:100])
    assert load_checkpoint(tmp_path, key="k") is None
