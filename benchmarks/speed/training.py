"""Seconds an epoch: ours against the usual notebook's, on the same images, in one run.

    python -m benchmarks.speed.training FOLDER --weights FILE [--images 256] [--epochs 3]

FOLDER holds NORMAL and PNEUMONIA; --images are taken from it evenly, 0 takes all. Each side is a
process of its own, the notebook's without our switches, and their epochs alternate, so that
whatever else the machine does slows down both. The notebook (`notebook.py`) decodes and
augments every image in every epoch; ours decodes once. Neither side's epoch has validation in it.
The first epoch, reported separately, includes reading and compiling. Loading of the program and
of the weights is in none.

The notebook's upper third learns; so --frozen-share 0.65 compares the same share of layers. Frozen
blocks are computed again in every epoch, since their input is: every image is moved and toned
another way each time. They are computed without a gradient.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.speed.notebook import notebook_epochs
from pipeline.inference.tensorflow_engine import import_tensorflow
from pipeline.training.config import TrainingConfig
from pipeline.training.data.dataset import read_images
from pipeline.training.fine_tuning import FineTuning, make_batches
from pipeline.training.job import TrainingJob
from pipeline.training.labelled.folder import FOLDER_LABELS, LabelledFolder
from pipeline.training.network import build_network

Epoch = Callable[[], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="MobileNetV2's, without top")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--frozen-share", type=float, default=TrainingConfig.frozen_share)
    parser.add_argument("--side", choices=["notebook", "ours"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        serve_epochs(arguments)
    else:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="overread-training-") as scratch, ExitStack() as open_:
        count = link_sample(arguments.folder, Path(scratch), images=arguments.images)
        print(f"{count} images, {len(os.sched_getaffinity(0))} cores", flush=True)
        sides = {
            name: open_.enter_context(side_process(name, Path(scratch), arguments))
            for name in ("notebook", "ours")
        }
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(arguments.epochs):
            for name, epoch in sides.items():
                seconds[name].append(epoch())
    report(seconds, count)


def report(seconds: dict[str, list[float]], count: int) -> None:
    def tell(what: str, pick: Callable[[list[float]], float]) -> None:
        for name, values in seconds.items():
            took = pick(values)
            ratio = pick(seconds["notebook"]) / took
            print(f"{what}, {name:9} {took:7.1f} s {count / took:7.1f} images/s {ratio:6.1f} x")

    tell("first epoch", lambda values: values[0])
    if len(next(iter(seconds.values()))) > 1:
        tell("later epochs", lambda values: statistics.median(values[1:]))
    print(json.dumps({name: [round(s, 2) for s in values] for name, values in seconds.items()}))


def link_sample(source: Path, target: Path, *, images: int) -> int:
    """Some files of each class, in the same proportion as all."""
    examples = list(LabelledFolder(source))
    step = max(1, len(examples) // images) if images else 1
    names = {label: name for name, label in FOLDER_LABELS.items()}
    for example in examples[::step]:
        place = target / names[example.label] / example.path.name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(example.path.resolve())
    return len(examples[::step])


@contextmanager
def side_process(name: str, folder: Path, arguments: argparse.Namespace) -> Iterator[Epoch]:
    """A process that runs an epoch for every line that it is sent, and answers with seconds."""
    command = [
        sys.executable, "-m", "benchmarks.speed.training", str(folder), "--side", name,
        "--weights", arguments.weights, "--frozen-share", str(arguments.frozen_share),
    ]  # fmt: skip
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sent, answers = process.stdin, process.stdout
        wait_for(answers, "ready")

        def epoch() -> float:
            sent.write("epoch\n")
            sent.flush()
            return float(wait_for(answers, "took"))

        yield epoch
        sent.close()


def wait_for(answers: Iterator[str], word: str) -> str:
    """Keras prints lines of its own among ours."""
    for line in answers:
        if line.startswith(word):
            return line.removeprefix(word).strip()
    raise SystemExit("one side of the comparison ended; its message is above")


def serve_epochs(arguments: argparse.Namespace) -> None:
    if arguments.side == "notebook":
        epoch = notebook_epochs(arguments.folder, weights=arguments.weights)
    else:
        epoch = our_epochs(arguments)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        epoch()
        print("took", time.perf_counter() - start, flush=True)


def our_epochs(arguments: argparse.Namespace) -> Callable[[], None]:
    import_tensorflow()
    config = TrainingConfig(
        start_weights=arguments.weights, frozen_share=arguments.frozen_share, epochs=100
    )
    examples = list(LabelledFolder(arguments.folder))
    network = build_network(start_weights=config.start_weights, dropout=config.dropout)
    tuning = FineTuning(network, images=len(examples), config=config)
    done = 0
    batches_of: Callable[[int], object] | None = None

    def epoch() -> None:
        nonlocal done, batches_of
        if batches_of is None:
            images = read_images(examples)
            job = TrainingJob(config=config, training=images, validation=images)
            batches_of = make_batches(images, epoch=job.epoch, config=config)
        tuning.run_epoch(batches_of(done), epoch=done)
        done += 1

    return epoch


if __name__ == "__main__":
    main()
