"""What somebody who knows OpenVINO well would write for a folder of JPEGs: the competitor.

    python -m benchmarks.expert FOLDER OUT.csv [--version FOLDER] [--processes 2]

Probability and the peak of the heatmap of each file, by the network of a version's folder, in as
little time as possible: a process a core, static shapes, JPEG decoded in grey at a reduced scale.
Nothing is checked, de-identified or recorded, and there is no guard against unfamiliar images.
"""

import argparse
import csv
import json
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from pipeline.inference.openvino_engine import import_openvino
from pipeline.inference.version_folder import BASELINE

SIDE = 224
Row = tuple[str, float, float, int, int]  # file, probability, peak, its row and column

_request: Any = None
_temperature = 1.0


def open_network(version: Path) -> None:
    global _request, _temperature
    cv2.setNumThreads(1)
    core = import_openvino().Core()
    network = core.read_model(version / "network.xml")
    network.reshape([1, *list(network.input().partial_shape)[1:]])
    options = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    _request = core.compile_model(network, "CPU", options).create_infer_request()
    _temperature = json.loads((version / "card.json").read_bytes())["temperature"]


def predict(path: str) -> Row:
    pixels = simplejpeg.decode_jpeg(
        Path(path).read_bytes(), "GRAY", fastdct=True, min_height=SIDE, min_width=SIDE
    )
    network_input = cv2.resize(pixels[..., 0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    _request.infer({0: network_input[None]}, share_inputs=True)
    logit = _request.get_tensor("logits").data.item()
    heatmap = _request.get_tensor("heatmaps").data[0]
    row, column = divmod(int(heatmap.argmax()), heatmap.shape[1])
    probability = 1 / (1 + np.exp(-logit / _temperature))
    return path, float(probability), float(heatmap[row, column]), row, column


def rows(files: list[str], version: Path, processes: int) -> Iterator[Row]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, open_network, (version,)) as pool:
        yield from pool.imap_unordered(predict, files, chunksize=16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--version", type=Path, default=BASELINE)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    files = [str(path) for path in arguments.folder.rglob("*") if path.suffix == ".jpeg"]
    with arguments.out.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["file", "probability", "peak", "row", "column"])
        writer.writerows(rows(files, arguments.version, arguments.processes))


if __name__ == "__main__":
    main()
