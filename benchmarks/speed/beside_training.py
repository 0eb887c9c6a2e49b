"""Images per second of the predicting engine, alone and beside a training; one run, as a ratio.

    python -m benchmarks.speed.beside_training [FOLDER] [--cores 1] [--seconds 20] [--rounds 3]

The training is a process of its own that bounds itself as the night's does
(`worker.night.resources`) and teaches the upper blocks of the shipped network: on the images of
FOLDER (NORMAL, PNEUMONIA), or on drawn ones. It is stopped (SIGSTOP) and let go on in turns, so
that whatever else the machine does slows down both sides alike. Predictions take every core.
`--plain` leaves out the bounds.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.config.settings import Settings
from pipeline.inference.engine import NETWORK_FILE
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE
from pipeline.phantom.drawing import draw_phantom
from pipeline.training.data.dataset import Dataset, read_images
from pipeline.training.labelled.folder import LabelledFolder
from pipeline.types import Finding

DRAWN = 96
BATCH = 32  # as a worker claims them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="a training without bounds")
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train_for_ever(arguments)
    else:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    predictor, images = Predictor.open(), some_images(None).images
    predictor.predict(images[:BATCH])
    alone, beside, steps = [], [], 0
    with training_process() as training:
        for _ in range(arguments.rounds):
            training.send_signal(signal.SIGSTOP)
            alone.append(rate(predictor, images, seconds=arguments.seconds))
            training.send_signal(signal.SIGCONT)
            beside.append(rate(predictor, images, seconds=arguments.seconds))
            steps += waiting_lines(training)
    share = statistics.median(b / a for a, b in zip(alone, beside, strict=True))
    print(f"alone            {statistics.median(alone):7.1f} images/s")
    print(f"beside training  {statistics.median(beside):7.1f} images/s, {share:.0%} of alone")
    trained = steps / (arguments.rounds * arguments.seconds)
    print(f"training beside  {trained:7.2f} steps/s of 32 images")
    print(json.dumps({"alone": alone, "beside": beside, "share": share, "steps": steps}))


def rate(predictor: Predictor, images: NDArray[np.uint8], *, seconds: float) -> float:
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        done += len(predictor.predict(images[:BATCH]))
    return done / (time.perf_counter() - start)


@contextmanager
def training_process() -> Iterator[subprocess.Popen[bytes]]:
    """Once it has taken its first step; a session of its own, as under the supervisor."""
    command = [sys.executable, "-m", "benchmarks.speed.beside_training", "--train", *sys.argv[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as training:
        assert training.stdout is not None
        try:
            if not training.stdout.readline():
                raise SystemExit("the training ended; its message is above")
            os.set_blocking(training.stdout.fileno(), False)
            yield training
        finally:
            training.kill()


def waiting_lines(training: subprocess.Popen[bytes]) -> int:
    """Steps since it was asked last."""
    assert training.stdout is not None
    return len((training.stdout.read() or b"").splitlines())


def train_for_ever(arguments: argparse.Namespace) -> None:
    """Bounded from its first step on: on a busy machine its start would take minutes."""
    from worker.night.resources import THREADS, bound_this_process

    if not arguments.plain:
        os.environ.update(dict.fromkeys(THREADS, str(arguments.cores)))
    from pipeline.inference.version_folder import load_card
    from pipeline.training.config import candidate_config
    from pipeline.training.fit import fit_network
    from pipeline.training.job import TrainingJob, TrainingProgress

    is_bounded = arguments.plain

    def tell(step: TrainingProgress) -> None:
        nonlocal is_bounded
        if step.stage == "fine-tune":
            if not is_bounded:
                bound_this_process(Settings(train_cores=arguments.cores))
                is_bounded = True
            sys.stdout.buffer.write(b"step\n")
            sys.stdout.buffer.flush()

    dataset = some_images(arguments.folder)
    config = candidate_config(
        load_card(BASELINE).raw, name="beside", start="production",
        weights=BASELINE / NETWORK_FILE, mode="upper blocks", site=len(dataset),
    )  # fmt: skip
    endless = replace(config, head_epochs=0, epochs=10_000)
    validation = dataset.where(np.arange(8))
    fit_network(TrainingJob(config=endless, training=dataset, validation=validation, progress=tell))


def some_images(folder: Path | None) -> Dataset:
    if folder is not None:
        return read_images(list(LabelledFolder(folder)))
    labels = (np.arange(DRAWN) % 2).astype(np.uint8)
    findings: list[Finding] = ["normal", "pneumonia"] * (DRAWN // 2)
    drawn = [draw_phantom(seed=n, finding=one, size=(224, 224)) for n, one in enumerate(findings)]
    return Dataset(np.stack(drawn), labels, np.arange(DRAWN).astype(str))


if __name__ == "__main__":
    main()
