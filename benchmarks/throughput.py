"""Images per second on this machine, in one run: the notebook way, `overread predict`, the service.

    python -m benchmarks.throughput FOLDER [--copies 10] [--notebook-images 30]

(a) the usual notebook path, one image at a time: Keras's load_img, `predict`, Grad-CAM by
gradient tape, overlay drawn by OpenCV; (b) `overread predict`, start-up included; (c) the whole
service, from `overread submit` to its last stored row, with the CPU time of its stages; and what
bounds them: decoding alone and the network alone. With --copies, every JPEG is sent several times,
each copy with a comment of its own, since the same bytes would be read once only.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

from benchmarks.notebook import read_like_a_notebook
from benchmarks.stages import measured_stages, print_stages
from pipeline.errors import RefusedError
from pipeline.inference.engine import load_engine
from pipeline.inference.version_folder import BASELINE
from pipeline.prepare.prepare import prepare

OVERREAD = [sys.executable, "-m", "cli"]
READY_WITHIN_S = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--notebook-images", type=int, default=30)
    parser.add_argument("--skip-service", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overread-throughput-") as scratch:
        files = copy_files(arguments.folder, Path(scratch) / "studies", copies=arguments.copies)
        print(f"{len(files)} images, {len(os.sched_getaffinity(0))} cores", flush=True)
        measure_all(files, Path(scratch), arguments)


def measure_all(files: list[Path], scratch: Path, arguments: argparse.Namespace) -> None:
    rates: dict[str, float] = {}

    def note(name: str, rate: float) -> None:
        rates[name] = rate
        ratio = f"{rate / notebook:8.1f} x (a)"
        print(f"{name:44} {rate:8.1f} images/s {ratio}", flush=True)

    sample = files[:: max(1, len(files) // arguments.notebook_images)][: arguments.notebook_images]
    notebook = read_like_a_notebook(sample, network_file=BASELINE / "network.keras")
    note("(a) notebook path, one at a time", notebook)
    note("(b) overread predict", predict_rate(scratch / "studies", len(files)))
    if not arguments.skip_service:
        note("(c) service, submit to stored row", service_rate(scratch, len(files)))
    decoding, inputs = decoding_rate(files)
    note("bound: decoding alone, one core", decoding)
    note("bound: network alone, all cores", inference_rate(inputs))
    print(json.dumps({name: round(rate, 2) for name, rate in rates.items()}))


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


def predict_rate(folder: Path, images: int) -> float:
    start = time.perf_counter()
    done = subprocess.run([*OVERREAD, "predict", str(folder), "--jsonl"], stdout=subprocess.PIPE)
    seconds = time.perf_counter() - start
    check_answers(done.stdout, images)
    return images / seconds


def check_answers(lines: bytes, images: int) -> None:
    """A fast run that lost images is no measurement."""
    states = [json.loads(line)["status"] for line in lines.splitlines()]
    if len(states) != images or set(states) - {"predicted", "rejected"}:
        raise SystemExit(f"expected {images} answers, received {len(states)}: {set(states)}")


def service_rate(scratch: Path, images: int) -> float:
    environment = os.environ | {"OVERREAD_DATA": str(scratch / "data"), "OVERREAD_PORT": "0"}
    with running_service(environment, scratch) as service_pid:
        command = [*OVERREAD, "submit", str(scratch / "studies"), "--wait", "--json"]
        start = time.perf_counter()
        with measured_stages(service_pid) as spent:
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE)
        seconds = time.perf_counter() - start
        print_stages(spent, images)
        if done.returncode not in (0, 1):
            raise SystemExit(f"submit ended with {done.returncode}")
        stored = subprocess.run(
            [*OVERREAD, "results", "--format", "jsonl"], env=environment, stdout=subprocess.PIPE
        )
        check_answers(stored.stdout, images)
    return images / seconds


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
                    time.sleep(3)  # workers load the network while the portal is already up
                    return
        except (OSError, ValueError, KeyError, URLError):
            time.sleep(0.2)
    raise SystemExit("the service did not start")


def decoding_rate(files: list[Path]) -> tuple[float, np.ndarray]:
    inputs = []
    start = time.perf_counter()
    for path in files:
        try:
            inputs.append(prepare(path).network_input)
        except RefusedError:
            continue
    return len(files) / (time.perf_counter() - start), np.stack(inputs)


def inference_rate(inputs: np.ndarray) -> float:
    engine = load_engine(BASELINE)
    engine.infer(inputs[:16])
    many = np.tile(inputs, (max(1, 256 // len(inputs)), 1, 1))
    start = time.perf_counter()
    engine.infer(many)
    return len(many) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
