"""A training that was killed goes on as if nothing had happened."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pipeline.checkpoint import (
    Checkpoint,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
    training_key,
)
from pipeline.dataset import Dataset, find_examples, read_examples
from pipeline.learning_curves import LearningCurves
from pipeline.training import split_dataset
from pipeline.training_config import TrainingConfig, TrainingProgress
from tests.pipeline.networks import TOY, write_dataset, write_start_weights

START_WEIGHTS = "start.keras"
KILLED_AT = 8  # of five steps an epoch: in the middle of the second
SCRIPT = """
import os, signal, sys
from pathlib import Path
from pipeline.fitting import fit_network
from tests.pipeline.test_resuming import KILLED_AT, config_of, read

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
    everything = read_examples(find_examples(folder / "train"), size=TOY.size)
    return split_dataset(everything, config=TOY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_dataset(tmp_path_factory.mktemp("dataset"))
    write_start_weights(made / START_WEIGHTS)
    return made


@pytest.fixture(scope="module")
def uninterrupted(folder: Path) -> "Fitted":
    return fit(folder)


class Fitted(NamedTuple):
    logits: np.ndarray  # of the validation images
    curves: LearningCurves
    told: list[TrainingProgress]


def fit(
    folder: Path, *, checkpoints: Path | None = None, config: TrainingConfig | None = None
) -> Fitted:
    from pipeline.fitting import fit_network, predict_logits

    steps: list[TrainingProgress] = []
    learning, validation = read(folder)
    network, curves = fit_network(
        learning, validation,
        config=config or config_of(folder), progress=steps.append, checkpoints=checkpoints,
    )  # fmt: skip
    return Fitted(predict_logits(network, validation.images), curves, steps)


@pytest.mark.tensorflow
def test_a_killed_training_ends_as_an_uninterrupted_one(
    folder: Path, uninterrupted: Fitted, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SCRIPT, folder, tmp_path / "kept"]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert has_checkpoint(tmp_path / "kept")

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
def test_two_equal_runs_give_equal_figures(folder: Path, uninterrupted: Fitted) -> None:
    again = fit(folder)
    np.testing.assert_allclose(again.logits, uninterrupted.logits, atol=1e-4)
    np.testing.assert_allclose(again.curves.loss, uninterrupted.curves.loss, atol=1e-4)


@pytest.mark.tensorflow
def test_an_epoch_is_the_same_whenever_it_comes(folder: Path) -> None:
    """And another one has other views of other images."""
    from pipeline.fine_tuning import make_batches

    learning, _ = read(folder)
    batches_of = make_batches(learning, config=TOY)
    first, second, again = (next(iter(batches_of(epoch))) for epoch in (1, 2, 1))
    reseeded = next(iter(make_batches(learning, config=replace(TOY, seed=1))(1)))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first[0].numpy() != second[0].numpy()).mean() > 0.5
    assert (first[0].numpy() != reseeded[0].numpy()).mean() > 0.5


@pytest.mark.tensorflow
def test_another_training_starts_afresh_and_says_so(folder: Path, tmp_path: Path) -> None:
    short = replace(TOY, epochs=0, head_epochs=1)
    fit(folder, checkpoints=tmp_path, config=short)
    _, _, again = fit(folder, checkpoints=tmp_path, config=short)
    _, _, other = fit(folder, checkpoints=tmp_path, config=replace(short, seed=1))
    assert [step.stage for step in again] == ["resume"]
    assert [step.stage for step in other] == ["restart", "head", "head"]
    assert "starts afresh" in other[0].text


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
    assert len(set(keys)) == len(keys)
    assert keys[-1] == training_key(data, data, config=config)


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
