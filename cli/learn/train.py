"""`overread train`"""

import json
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

import click

from cli.errors import Interrupted, UsageProblem, one_line_errors
from cli.params import GivenPath
from cli.progress import progress
from pipeline.inference.engine import tensorflow_is_installed
from pipeline.text import plural, readable
from pipeline.training.checkpoint import checkpoint_folder, has_checkpoint
from pipeline.training.config import TrainingConfig, TrainingConfigError
from pipeline.training.job import STAGES, TrainingProgress
from pipeline.types import Precision


@click.command()
@click.argument("sets", metavar="SET...", type=GivenPath(), nargs=-1, required=True)
@click.option(
    "--output",
    metavar="DIR",
    required=True,
    type=GivenPath(file_okay=False),
    help="The new model version's folder; must not exist.",
)
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=GivenPath(dir_okay=False),
    help="JSON or TOML with any of the training's settings, or a version's card.json.",
)
@click.option(
    "--weights",
    metavar="FILE",
    type=GivenPath(dir_okay=False),
    help="Keras file with the ImageNet weights to start from; without, they are downloaded.",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Precision of the compiled network; int8 is quantised with training images, and needs a "
    "processor with VNNI.  [default: the config's, else float32]",
)
def train(
    sets: tuple[Path, ...],
    output: Path,
    config_file: Path | None,
    weights: Path | None,
    precision: Precision | None,
) -> None:
    """Train a network on labelled sets, split by patient.

    A SET is a folder (train/NORMAL, train/PNEUMONIA), a CSV or a TOML manifest. A CSV has the
    columns file and label, and optionally patient, split (train, val, test), origin, population
    (children or adults), view, sex and age. A manifest names the images and what holds for all of
    them, such as population = "adults"; see the manual. Both classes weigh the same within each
    population and view. Origins of which only one class is known are not learned from.

    A patient's name means the same patient in every set. Images of the split test are only
    measured. Those of val are not used: validation patients are taken from train. Copies count
    once; images with contradictory labels, and files that cannot be read, are listed and left out.
    An interrupted training continues after its last epoch when the same command is given again.

    Exit code 0: every image was read; 1: some were refused.
    """
    config = _configure(sets, output=output, config_file=config_file, weights=weights)
    if precision:
        config = replace(config, precision=precision)
    with one_line_errors(output):
        folder, refused = _train(sets, output, config)
    click.echo(folder)
    if refused:
        click.echo(f"{plural(refused, 'file')} could not be read; see above.", err=True)
    sys.exit(1 if refused else 0)


def _configure(
    sets: Sequence[Path], *, output: Path, config_file: Path | None, weights: Path | None
) -> TrainingConfig:
    for one in sets:
        if not one.exists():
            raise UsageProblem(f"{one}: no such file or folder")
    if output.exists():
        raise UsageProblem(f"{output}: already exists; a model version is never changed")
    config = read_config(config_file) if config_file else TrainingConfig()
    if config.model_version == TrainingConfig.model_version:
        config = replace(config, model_version=output.name)
    if weights:
        config = replace(config, start_weights=weights)
    if isinstance(config.start_weights, Path) and not config.start_weights.is_file():
        raise UsageProblem(f"{config.start_weights}: no such file; name it with --weights")
    if not tensorflow_is_installed():
        raise UsageProblem("TensorFlow is not installed; run: make setup-train")
    return config


def read_config(path: Path) -> TrainingConfig:
    """JSON or TOML with some of TrainingConfig's names, or a whole card.json."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageProblem(f"{path}: not valid JSON or TOML: {error}") from None
    if isinstance(values, dict) and isinstance(values.get("config"), dict):
        values = values["config"]
    if not isinstance(values, dict):
        raise UsageProblem(f"{path}: expected settings by name")
    try:
        return TrainingConfig.from_json(values)
    except TrainingConfigError as error:
        raise UsageProblem(f"{path}: {error}") from None


def _train(sets: Sequence[Path], output: Path, config: TrainingConfig) -> tuple[Path, int]:
    """Return the version's folder, and how many files were refused."""
    from pipeline.training.train import train_sets

    checkpoints = checkpoint_folder(output)
    refused = 0
    try:
        with progress("Training", total=100, unit="%") as shown, _interruptible() as check:

            def show(step: TrainingProgress) -> None:
                nonlocal refused
                check()
                refused += step.stage == "refused"
                if step.stage in STAGES:
                    shown.show(100 * step.share, note=step.describe())
                else:
                    shown.say(readable(step.describe()))

            return train_sets(sets, output, config=config, progress=show), refused
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; the same command continues after the last epoch, saved in {checkpoints}"
            if has_checkpoint(checkpoints)
            else "interrupted before the first checkpoint; the same command starts again"
        ) from None


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Ctrl-C takes effect at the next step, a second one at once.

    Raised inside TensorFlow, KeyboardInterrupt may be taken for a result, and the loop never ends.
    """
    times = 0

    def interrupt(*_: object) -> None:
        nonlocal times
        times += 1
        if times > 1:
            raise KeyboardInterrupt

    def check() -> None:
        if times:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
