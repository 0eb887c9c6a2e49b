"""`overread train`, put together: a configuration from a file, a bar, one clear line on trouble."""

import json
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from cli.fatal import Failed, UsageProblem
from cli.processes import can_train
from cli.progress import progress
from pipeline.errors import PipelineError
from pipeline.training_config import TrainingConfig, TrainingProgress

FIELDS = {field.name for field in fields(TrainingConfig)}
JSON_TYPES: dict[type, tuple[type, ...]] = {float: (int, float), int: (int,), str: (str,)}


def train_folder(
    dataset: Path, *, output: Path, config_file: Path | None, weights: Path | None
) -> Path:
    if not dataset.is_dir():
        raise UsageProblem(f"{dataset}: no such folder")
    if output.exists():
        raise UsageProblem(f"{output}: exists; a model version is never changed")
    config = read_config(config_file) if config_file else TrainingConfig()
    if not config_file or config.model_version == TrainingConfig.model_version:
        config = replace(config, model_version=output.name)
    if weights:
        if not weights.is_file():
            raise UsageProblem(f"{weights}: no such file")
        config = replace(config, start_weights=weights)
    if not can_train():
        raise UsageProblem("TensorFlow is not installed; install it with: make setup-train")
    return _train(dataset, output, config)


def read_config(path: Path) -> TrainingConfig:
    """JSON or TOML. Every name must be one of TrainingConfig's, with a value of its type."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageProblem(f"{path}: cannot be understood: {error}") from None
    if not isinstance(values, dict):
        raise UsageProblem(f"{path}: expected names with values")
    for name, value in values.items():
        _check(path, name, value)
    return TrainingConfig(**values)


def _check(path: Path, name: str, value: Any) -> None:
    if name not in FIELDS:
        raise UsageProblem(f"{path}: {name}: a training has no such setting")
    default = getattr(TrainingConfig, name)
    expected = JSON_TYPES.get(type(default), (str,))
    if isinstance(value, bool) or not isinstance(value, expected):
        kind = expected[-1].__name__
        raise UsageProblem(f"{path}: {name}: expected a {kind}, received {value!r}")


def _train(dataset: Path, output: Path, config: TrainingConfig) -> Path:
    # Only now: it imports TensorFlow.
    from pipeline.training import train

    with progress("Training", total=1) as shown:

        def tell(step: TrainingProgress) -> None:
            shown.show(step.done, total=step.total, note=f"{step.stage} {step.text}")

        try:
            return train(dataset, output, config=config, progress=tell)
        except PipelineError as error:
            raise Failed(str(error)) from None
