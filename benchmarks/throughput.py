"""Images per second and core-milliseconds an image on this machine, in one run.

    python -m benchmarks.throughput FOLDER [--copies 25] [--notebook-images 30]

(a) the usual notebook path, one image at a time: Keras's load_img, `predict`, Grad-CAM by
gradient tape, overlay drawn by OpenCV; (b) the expert's script (`expert.py`), which
does nothing but predict; (c) `overread predict`; (d) the whole service, from `overread submit` to
its last stored row, and the stages of it; and what bounds them: decoding alone and the network
alone. The other packages' usual ways (`others.py`) follow (a) where they are installed. Start-up is
included except in (a) and those. With --copies, every JPEG is sent several times, each
copy with a comment of its own, since the same bytes would be read once only.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

from benchmarks.speed.core_time import Cost, core_s_by_stage, cores, cost_of, run
from benchmarks.speed.notebook import open_notebook
from benchmarks.speed.others import OTHERS, ReadOne, missing
from pipeline.errors import RefusedError
from pipeline.inference.engine import load_engine
from pipeline.inference.version_folder import BASELINE
from pipeline.prepare.prepare import prepare

OVERREAD = [sys.executable, "-m", "cli"]
READY_WITHIN_S = 120
IDLE_CORES = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--notebook-images", type=int, default=30)
    parser.add_argument("--skip-service", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overread-throughput-") as scratch:
        files = copy_files(arguments.folder, Path(scratch) / "studies", copies=arguments.copies)
        load = os.getloadavg()[0]
        print(f"{len(files)} images, {cores()} cores, load {load:.1f}", flush=True)
        print(f"{'':40} {'images/s':>9} {'core-ms':>8} {'x (a)':>6}")
        measure_all(files, Path(scratch), arguments)


def measure_all(files: list[Path], scratch: Path, arguments: argparse.Namespace) -> None:
    figures: dict[str, dict[str, float]] = {}

    def note(name: str, cost: Cost, images: int) -> None:
        rate, core_ms = images / cost.wall_s, 1000 * cost.core_s / images
        figures[name] = {"images_per_s": round(rate, 2), "core_ms": round(core_ms, 2)}
        ratio = rate / next(iter(figures.values()))["images_per_s"]
        print(f"{name:40} {rate:9.1f} {core_ms:8.1f} {ratio:6.1f}", flush=True)

    sample = files[:: max(1, len(files) // arguments.notebook_images)][: arguments.notebook_images]
    notebook = open_notebook(BASELINE / "network.keras")
    notebook(sample[0])  # warms up
    cost = cost_of(partial(read_all, notebook, sample))
    note("(a) notebook path, one at a time", cost, len(sample))
    for packages, open_one in OTHERS.items():
        name = f"{packages[0]}, one at a time"
        if absent := missing(packages):
            print(f"{name:40} not installed: {', '.join(absent)}", flush=True)
            continue
        read_one = open_one(BASELINE / "network.keras")
        read_one(sample[0])
        cost = cost_of(partial(read_all, read_one, sample))
        note(name, cost, len(sample))
    note("(b) expert's script", expert_cost(scratch), len(files))
    note("(c) overread predict", predict_cost(scratch / "studies", len(files)), len(files))
    if not arguments.skip_service:
        cost, stages = service_cost(scratch, len(files))
        note("(d) service, submit to stored row", cost, len(files))
        for stage, core_s in stages.items():
            core_ms = 1000 * core_s / len(files)
            figures[f"stage: {stage}"] = {"core_ms": round(core_ms, 2)}
            print(f"    {stage:46} {core_ms:8.1f}")
    note_bounds(files, note)
    print(json.dumps(figures))


def read_all(read_one: ReadOne, files: list[Path]) -> None:
    for path in files:
        read_one(path)


def copy_files(source: Path, target: Path, *, copies: int) -> list[Path]:
    """Each copy of a JPEG gets a comment segment (ITU-T T.81 B.2.4.5) with its number."""
    written = []
    for path in sorted(p for p in source.rglob("*") if p.is_file() and p.suffix != ".csv"):
        content = path.read_bytes()
        is_jpeg = content.startswith(b"\xff\xd8")
        for copy in range(copies if is_jpeg else 1):
            comment = b"\xff\xfe\x00\x0acopy%04d" % copy if copies > 1 and is_jpeg else b""
            place = target / f"copy-{copy:04d}" / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content[:2] + comment + content[2:])
            written.append(place)
    return written


def expert_cost(scratch: Path) -> Cost:
    out = scratch / "expert.csv"
    command = [sys.executable, "-m", "benchmarks.expert", str(scratch / "studies"), str(out)]
    status, _, cost = run(command)
    if status:
        raise SystemExit(f"the expert's script ended with {status}")
    return cost


def predict_cost(folder: Path, images: int) -> Cost:
    _, answers, cost = run([*OVERREAD, "predict", str(folder), "--jsonl"])
    check_answers(answers, images)
    return cost


def check_answers(lines: bytes, images: int) -> None:
    """A fast run that lost images is no measurement."""
    states = [json.loads(line)["status"] for line in lines.splitlines()]
    if len(states) != images or set(states) - {"predicted", "rejected"}:
        raise SystemExit(f"expected {images} answers, received {len(states)}: {set(states)}")


def service_cost(scratch: Path, images: int) -> tuple[Cost, dict[str, float]]:
    """Return the cost of all processes, and the core-seconds of each stage."""
    environment = os.environ | {"OVERREAD_DATA": str(scratch / "data"), "OVERREAD_PORT": "0"}
    with running_service(environment, scratch) as pid:
        before = core_s_by_stage(pid)
        command = [*OVERREAD, "submit", str(scratch / "studies"), "--wait", "--json"]
        status, _, submit = run(command, environment)
        after = core_s_by_stage(pid)
        if status not in (0, 1):
            raise SystemExit(f"submit ended with {status}")
        _, stored, _ = run([*OVERREAD, "results", "--format", "jsonl"], environment)
        check_answers(stored, images)
    stages = {"submit": submit.core_s} | {name: after[name] - before[name] for name in after}
    return Cost(submit.wall_s, sum(stages.values())), stages


@contextmanager
def running_service(environment: dict[str, str], scratch: Path) -> Iterator[int]:
    """Yields the supervisor's process id."""
    with (scratch / "service.log").open("wb") as log:
        service = subprocess.Popen([*OVERREAD, "up"], env=environment, stdout=log, stderr=log)
        try:
            wait_until_healthy(scratch / "data" / "service.json", service)
            yield service.pid
        finally:
            service.send_signal(signal.SIGINT)
            service.wait(60)


def wait_until_healthy(service_file: Path, service: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and service.poll() is None:
        try:
            url = json.loads(service_file.read_text(encoding="utf-8"))["url"]
            with urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310 - our own service
                if answer.status == 200:
                    return wait_until_idle(service.pid)
        except (OSError, ValueError, KeyError, URLError):
            time.sleep(0.2)
    raise SystemExit("the service did not start")


def wait_until_idle(pid: int) -> None:
    """Workers load the network while the portal is already up."""
    core_s, before = sum(core_s_by_stage(pid).values()), -1.0
    while core_s - before > IDLE_CORES:
        time.sleep(1)
        core_s, before = sum(core_s_by_stage(pid).values()), core_s


def note_bounds(files: list[Path], note: Callable[[str, Cost, int], None]) -> None:
    inputs = []

    def decode() -> None:
        for path in files:
            with suppress(RefusedError):
                inputs.append(prepare(path).network_input)

    note("bound: decoding alone, one core", cost_of(decode), len(files))
    engine = load_engine(BASELINE)
    many = np.stack(inputs)
    engine.infer(many[:16])
    note("bound: network alone, all cores", cost_of(lambda: engine.infer(many)), len(many))


if __name__ == "__main__":
    main()
