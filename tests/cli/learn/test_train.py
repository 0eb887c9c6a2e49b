"""`overread train` from the outside: configuration, progress, Ctrl-C."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from cli.errors import UsageProblem
from cli.learn.train import read_config
from cli.progress import time_left
from pipeline.training.config import TrainingConfig
from pipeline.training.job import Progress, TrainingProgress
from tests.support.imaging.networks import TOY, write_dataset
from tests.support.servers.command import run
from tests.support.servers.processes import hearing_ctrl_c
from tests.support.servers.service import wait_until

CONFIG = TrainingConfig()


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(),
        TOY,
        replace(TOY, start_weights=Path("start.keras"), known_limits=("one", "two"), dropout=0.0),
    ],
)
def test_read_config_of_a_saved_config(config: TrainingConfig, tmp_path: Path) -> None:
    plain = tmp_path / "config.json"
    plain.write_text(json.dumps(config.as_json()))
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"format": 2, "config": config.as_json()}))
    assert read_config(plain) == config
    assert read_config(card) == config


def test_read_config_of_partial_toml(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('epochs = 2\nlearning_rate = 1\nknown_limits = ["small"]\n')
    config = read_config(file)
    assert config == TrainingConfig(epochs=2, learning_rate=1.0, known_limits=("small",))
    assert isinstance(config.learning_rate, float)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"epoch": 1}, "epoch: Unexpected keyword argument"),
        ({"epochs": 1.5}, "epochs: Input should be a valid integer, received 1.5"),
        ({"epochs": True}, "epochs: Input should be a valid integer"),
        ({"epochs": -1}, "epochs: Input should be greater than or equal to 0"),
        ({"learning_rate": "fast"}, "learning_rate: Input should be a valid number"),
        ({"learning_rate": math.nan}, "learning_rate: Input should be a finite number"),
        ({"validation_share": 1.5}, "validation_share: Input should be less than or equal to 1"),
        ({"known_limits": [1]}, "known_limits: Input should be a valid string, received 1"),
        ({"known_limits": "one"}, "known_limits: Input should be a valid array"),
        ({"model_version": None}, "model_version: Input should be a valid string"),
        ({"start_weights": 3}, "should be 'random' or the path of a file, received 3"),
        ({"batch_size": 0}, "batch_size: Input should be greater than or equal to 1"),
        ({"frozen_share": -0.1}, "frozen_share: Input should be greater than or equal to 0"),
        ({"split_key": "\ud800"}, "settings: Invalid JSON"),
        ([1], "expected settings by name"),
    ],
)
def test_read_config_reports_a_wrong_setting_in_one_line(
    values: Any, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(values))
    with pytest.raises(UsageProblem) as caught:
        read_config(file)
    assert complaint in caught.value.message
    assert caught.value.message.startswith(str(file))
    assert "\n" not in caught.value.message


def test_read_config_refuses_a_date(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("split_key = 2026-01-01\n")
    with pytest.raises(UsageProblem, match="expected numbers, text or lists, received 2026-01-01"):
        read_config(file)


def test_training_config_checks_its_values() -> None:
    with pytest.raises(ValueError, match="less than or equal to"):
        replace(CONFIG, dropout=1.0)


def test_every_number_of_training_config_has_limits() -> None:
    settings = TypeAdapter(TrainingConfig).json_schema()["properties"].values()
    numbers = [one for one in settings if one.get("type") in ("integer", "number")]
    assert numbers
    for one in numbers:
        assert "minimum" in one
        assert "maximum" in one or "exclusiveMaximum" in one


def test_train_lists_every_bad_file(tmp_path: Path) -> None:
    for name in ("NORMAL/a.png", "NORMAL/b\tc.png", "PNEUMONIA/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    result = run("train", tmp_path, "--output", tmp_path / "new")
    assert result.exit_code == 1
    *refused, error = [line for line in result.stderr.splitlines() if "Training" not in line]
    reason = "expected a radiograph as DICOM, PNG, JPEG or TIFF, received plain text"
    names = ["NORMAL/a.png", "NORMAL/b\ufffd09c.png", "PNEUMONIA/d.png"]
    assert refused == [f"{name}: {reason}" for name in names]
    assert error == "Error: too few patients: the training split lacks one of the two classes"


@pytest.mark.parametrize("refused", [0, 1])
def test_exit_code_tells_of_refused_files(
    refused: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_sets(_: Path, output: Path, *, progress: Progress, **settings: Any) -> Path:
        for _image in range(refused):
            progress(TrainingProgress(stage="refused", done=1, total=2, text="a.png: empty"))
        return output

    monkeypatch.setattr("cli.learn.train.tensorflow_is_installed", lambda: True)
    monkeypatch.setattr("pipeline.training.train.train_sets", train_sets)
    result = run("train", tmp_path, "--output", tmp_path / "new")
    assert (result.exit_code, result.stdout) == (refused, f"{tmp_path / 'new'}\n")
    told = ["a.png: empty", "1 file could not be read; see above."]
    assert result.stderr.splitlines() == told * refused


def test_precision_option_wins_over_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def train_sets(_: Path, output: Path, *, config: TrainingConfig, **others: Any) -> Path:
        used.append(config.precision)
        return output

    monkeypatch.setattr("cli.learn.train.tensorflow_is_installed", lambda: True)
    monkeypatch.setattr("pipeline.training.train.train_sets", train_sets)
    settings = tmp_path / "config.json"
    settings.write_text('{"precision": "int8"}')
    command = ["train", tmp_path, "--output", tmp_path / "new"]
    for options in ([], ["--config", settings], ["--config", settings, "--precision", "float32"]):
        assert run(*command, *options).exit_code == 0
    assert used == ["float32", "int8", "float32"]


def test_time_left_in_words() -> None:
    assert time_left(10, 20, 100) == "about 40 s left"
    assert time_left(600, 25, 100) == "about 30 min left"
    assert time_left(1, 50, 100) == "", "too early to tell"
    assert time_left(100, 100, 100) == ""


@pytest.mark.tensorflow
@pytest.mark.processes
def test_ctrl_c_says_how_to_continue(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data", patients=6)
    config = tmp_path / "config.json"
    endless = replace(TOY, epochs=10_000, head_epochs=1, model_version="candidate")
    config.write_text(json.dumps(endless.as_json()))
    command = ["train", str(dataset), "--output", str(tmp_path / "new"), "--config", str(config)]
    kept = tmp_path / ".new.training" / "checkpoint.npz"
    home = tmp_path / "home"
    home.mkdir()

    with (
        hearing_ctrl_c(),
        subprocess.Popen(
            [sys.executable, "-m", "cli", *command],
            cwd=Path(__file__).parents[3],
            env=os.environ | {"HOME": str(home)},
            stderr=subprocess.PIPE,
            text=True,
        ) as training,
    ):
        try:
            wait_until(lambda: kept.exists() or training.poll(), within_s=600, what="an epoch")
            training.send_signal(signal.SIGINT)
            said = training.communicate(timeout=300)[1]
        finally:
            training.kill()

    assert training.returncode == 130, said
    last = said.strip().splitlines()[-1]
    assert (
        last
        == "Error: interrupted; the same command continues after the last epoch, saved in "
        + (str(kept.parent))
    )
    assert not (tmp_path / "new").exists()
    assert not list(home.iterdir()), "Keras and Matplotlib write there by default"
