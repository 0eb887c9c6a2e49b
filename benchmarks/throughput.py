"""Images per second of three ways to read one folder, and what bounds them.

    python benchmarks/throughput.py FOLDER [--notebook-images N]

(a) the usual notebook: one image at a time through Keras `load_img` and `predict`, Grad-CAM by
    gradient tape, an OpenCV overlay
(b) `overread predict`, started afresh
(c) the whole service, from the job's first byte to its last stored row

All in one run on one machine, so the ratios hold where the absolute figures do not. (b) and (c)
read every file once: equal bytes would be answered from the store.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

OVERREAD = str(Path(sys.executable).with_name("overread"))
SUFFIXES = {".jpg", ".jpeg", ".png"}
WARM_UP = 2


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare images per second of three ways.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--notebook-images", type=int, default=24, help="how many (a) reads")
    arguments = parser.parse_args()
    files = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        sys.exit(f"{arguments.folder}: no JPEG or PNG in it")
    print(f"{len(files)} images, {len(os.sched_getaffinity(0))} cores")
    decoding, inference = decode_rate(files), inference_rate()
    print(f"    decoding alone, one core       {decoding:8.1f} images/s")
    print(f"    inference alone, all cores     {inference:8.1f} images/s")
    predicted, steady = predict_rate(arguments.folder)
    served, seconds = service_rate(arguments.folder)
    notebook = notebook_rate(files[: arguments.notebook_images + WARM_UP])
    print(f"(a) notebook, one at a time        {notebook:8.2f} images/s")
    for name, rate in (
        ("(b) overread predict, with its start", predicted),
        ("(b) overread predict, once running", steady),
        ("(c) service, first byte to last row", served),
    ):
        print(f"{name:<37}{rate:6.1f} images/s = {rate / notebook:.1f} x (a)")
    print(f"    `overread submit --wait` took {seconds:.1f} s in all")


def decode_rate(files: list[Path]) -> float:
    from pipeline.prepare import prepare

    prepare(files[0], key=b"benchmark")
    start = time.perf_counter()
    for file in files[:100]:
        prepare(file, key=b"benchmark")
    return len(files[:100]) / (time.perf_counter() - start)


def inference_rate(images: int = 256) -> float:
    from pipeline.predictor import Predictor

    inputs = np.random.default_rng(0).integers(0, 256, (images, 224, 224), np.uint8)
    predictor = Predictor.open()
    predictor.predict(inputs[:32])
    start = time.perf_counter()
    predictor.predict(inputs)
    return images / (time.perf_counter() - start)


def predict_rate(folder: Path) -> tuple[float, float]:
    """Over the whole command, and from its first answer to its last."""
    with tempfile.TemporaryDirectory() as data:
        start = time.perf_counter()
        with subprocess.Popen(
            [OVERREAD, "predict", str(folder), "--jsonl"],
            env={**os.environ, "OVERREAD_DATA": data},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            times = [time.perf_counter() for _ in process.stdout]
    ended = time.perf_counter()
    return len(times) / (ended - start), (len(times) - 1) / (times[-1] - times[0])


def service_rate(folder: Path) -> tuple[float, float]:
    """The service's own figure for the job, and the seconds that the sender waited."""
    with tempfile.TemporaryDirectory() as data:
        environment = {**os.environ, "OVERREAD_DATA": data, "OVERREAD_PORT": "0"}
        with running_service(environment):
            start = time.perf_counter()
            subprocess.run(
                [OVERREAD, "submit", str(folder), "--wait"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,  # 1 where a file was refused
            )
            seconds = time.perf_counter() - start
            return job_rate(environment), seconds


@contextmanager
def running_service(environment: dict[str, str]) -> Iterator[None]:
    service = subprocess.Popen(
        [OVERREAD, "up"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        announced = Path(environment["OVERREAD_DATA"]) / "service.json"
        while not announced.exists():
            if service.poll() is not None:
                sys.exit("the service did not start; try: overread up")
            time.sleep(0.1)
        time.sleep(5)  # beat starts last; it is not what is measured
        yield
    finally:
        service.terminate()
        service.wait()


def job_rate(environment: dict[str, str]) -> float:
    import sqlite3
    from datetime import datetime

    with sqlite3.connect(Path(environment["OVERREAD_DATA"]) / "overread.sqlite3") as database:
        count, first, last = database.execute(
            "SELECT count(*), min(job.created_at), max(image.finished_at)"
            " FROM image JOIN job ON job.id = image.job_id WHERE image.state = 'predicted'"
        ).fetchone()
    seconds = datetime.fromisoformat(last) - datetime.fromisoformat(first)
    return float(count) / seconds.total_seconds()


def notebook_rate(files: list[Path]) -> float:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    from pipeline.network import FEATURE_MAP
    from pipeline.version_folder import BASELINE

    network = keras.models.load_model(BASELINE / "network.keras", compile=False)
    feature_map = network.get_layer(FEATURE_MAP).output
    both = keras.Model(network.input, [feature_map, network.output])
    with tempfile.TemporaryDirectory() as folder:
        for file in files[:WARM_UP]:
            read_as_notebook(file, network, both, Path(folder))
        start = time.perf_counter()
        for file in files[WARM_UP:]:
            read_as_notebook(file, network, both, Path(folder))
        return (len(files) - WARM_UP) / (time.perf_counter() - start)


def read_as_notebook(file: Path, network: object, both: object, folder: Path) -> None:
    import cv2
    import keras
    import tensorflow as tf

    image = keras.utils.load_img(file, color_mode="grayscale", target_size=(224, 224))
    batch = np.expand_dims(np.asarray(image, np.uint8), 0)
    network.predict(batch, verbose=0)  # type: ignore[attr-defined]
    with tf.GradientTape() as tape:
        features, logit = both(batch)  # type: ignore[operator]
    gradient = tape.gradient(logit, features)
    weights = tf.reduce_mean(gradient, axis=(0, 1, 2))
    heatmap = tf.maximum(tf.squeeze(features[0] @ weights[..., tf.newaxis]), 0)
    heatmap = (heatmap / (tf.reduce_max(heatmap) + 1e-7)).numpy()
    original = cv2.imread(str(file))
    height, width = original.shape[:2]
    coloured = cv2.applyColorMap(
        np.uint8(255 * cv2.resize(heatmap, (width, height))), cv2.COLORMAP_JET
    )
    overlay = cv2.addWeighted(original, 0.6, coloured, 0.4, 0)
    cv2.imwrite(str(folder / f"{file.stem}.jpg"), overlay)


if __name__ == "__main__":
    main()
