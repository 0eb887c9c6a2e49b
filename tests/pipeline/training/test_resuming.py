"""A training that was killed goes on as if nothing had happened."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
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
from pipeline.training.config import TrainingConfig, TrainingProgress
from pipeline.training.dataset import Dataset, read_images
from pipeline.training.labelled import LabelledFolder
from pipeline.training.train import split_dataset
from tests.support.imaging.networks import TOY, write_dataset, write_start_weights

START_WEIGHTS = "start.keras"
KILLED_AT = 8  # of five steps an epoch: in the middle of the second
SCRIPT = """
import os, signal, sys
from pathlib import Path
from pipeline.training.fit import fit_network
from tests.pipeline.training.test_resuming import KILLED_AT, config_of, read

def tell(step):
    if step.stage == "fine-tune" and step.done == KILLED_AT:
        os.kill(os.getpid(), signal.SIGKILL)

folder, checkpoints = Path(sys.argv[1]), Path(sys.argv[2])
fit_network(*read(folder), config=config_of(folder), progress=tell, checkpoints=checkpoints)
"""


def config_of(folder: Path) -> TrainingConfig:
    weights = folder / START_WEIGHTS
    return replace(TOY, epochs=3, head_epochs=1, learning_rate=1e-3, start_weights=weights)


def read(folder: Path) -> tuple[Dataset, Dataset]:
    everything = read_images(list(LabelledFolder(folder / "train")), size=TOY.size)
    return split_dataset(everything, config=TOY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_dataset(tmp_path_factory.mktemp("dataset"))
    write_start_weights(made / START_WEIGHTS)
    return made


@pytest.fixture(scope="module")
def uninterrupted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> "Fitted":
    """Where another training's checkpoint lies."""
    checkpoints = tmp_path_factory.mktemp("another")
    save_checkpoint(Checkpoint(2, [], [], LearningCurves()), checkpoints, key="another")
    return fit(folder, checkpoints=checkpoints)


class Fitted(NamedTuple):
    logits: np.ndarray  # of the validation images
    curves: LearningCurves
    told: list[TrainingProgress]


def fit(folder: Path, *, checkpoints: Path) -> Fitted:
    from pipeline.training.fit import fit_network, predict_logits

    steps: list[TrainingProgress] = []
    learning, validation = read(folder)
    network, curves = fit_network(
        learning, validation,
        config=config_of(folder), progress=steps.append, checkpoints=checkpoints,
    )  # fmt: skip
    return Fitted(predict_logits(network, validation.images), curves, steps)


@pytest.mark.tensorflow
def test_a_killed_training_ends_as_an_uninterrupted_one(
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
def test_an_epoch_is_the_same_whenever_it_comes(folder: Path) -> None:
    """And another one has other views of other images."""
    from pipeline.training.fine_tuning import make_batches

    learning, _ = read(folder)
    batches_of = make_batches(learning, config=TOY)
    first, second, again = (next(iter(batches_of(epoch))) for epoch in (1, 2, 1))
    reseeded = next(iter(make_batches(learning, config=replace(TOY, seed=1))(1)))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first[0].numpy() != second[0].numpy()).mean() > 0.5
    assert (first[0].numpy() != reseeded[0].numpy()).mean() > 0.5


@pytest.mark.tensorflow
def test_another_trainings_checkpoint_is_not_gone_on_from(uninterrupted: Fitted) -> None:
    assert uninterrupted.told[0].stage == "restart"
    assert "starts afresh" in uninterrupted.told[0].text
    assert {step.stage for step in uninterrupted.told[1:]} == {"features", "head", "fine-tune"}


@pytest.mark.tensorflow
def test_an_epoch_visits_the_places_it_is_given(folder: Path) -> None:
    """Some images several times, others not at all; both classes weigh the same in it."""
    from pipeline.training.fine_tuning import make_batches

    learning, _ = read(folder)
    healthy, ill = np.flatnonzero(learning.labels == 0), np.flatnonzero(learning.labels == 1)
    places = np.array([*np.repeat(healthy[:1], 6), *ill[:2]])
    batches = list(make_batches(learning, config=TOY, places=places)(0))
    labels = np.concatenate([batch[1].numpy()[:, 0] for batch in batches])
    weights = np.concatenate([batch[2].numpy() for batch in batches])
    assert sorted(labels) == [0] * 6 + [1] * 2
    assert weights[labels == 1].sum() == pytest.approx(weights[labels == 0].sum()) == 4


def test_the_key_knows_config_images_and_start_weights(tmp_path: Path) -> None:
    images = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    data = Dataset(images, np.array([0, 1], np.uint8), np.array(["a", "b"]))
    flipped = Dataset(images[::-1], data.labels, data.patients)
    (tmp_path / "w.keras").write_bytes(b"one")
    config = replace(TOY, start_weights=tmp_path / "w.keras")
    keys = [
        training_key(data, data, config=config),
        training_key(data, data, config=replace(config, epochs=2)),
        training_key(flipped, data, config=config),
        training_key(data, flipped, config=config),
    ]
    (tmp_path / "w.keras").write_bytes(b"two")
    keys.append(training_key(data, data, config=config))
    keys.append(training_key(data, data, config=config, lesson=np.array([0, 0, 1])))
    assert len(set(keys)) == len(keys)
    assert keys[-2] == training_key(data, data, config=config, lesson=np.array([0, 1]))


def test_a_damaged_checkpoint_is_none(tmp_path: Path) -> None:
    curves = LearningCurves(1, [0.5], [0.4], [0.9])
    kept = Checkpoint(0, [np.ones(3, np.float32)], [np.array(7)], curves)
    save_checkpoint(kept, tmp_path, key="k")
    found = load_checkpoint(tmp_path, key="k")
    assert found is not None
    assert found.curves == curves
    assert found.optimizer[0] == 7
    assert load_checkpoint(tmp_path, key="other") is None
    file = tmp_path / "checkpoint.npz"
    file.write_bytes(file.read_bytes()[:100])
    assert load_checkpoint(tmp_path, key="k") is None
