"""Heatmaps against readers' boxes, and with randomised weights.

    python -m benchmarks.accuracy.heatmaps EXTERNAL [--version FOLDER] [--json] [--sheet FILE]
    python -m benchmarks.accuracy.heatmaps --trust FOLDER... [--version FOLDER]

EXTERNAL holds `boxes.csv` and its radiographs. With --sheet, a PNG of all overlays with the boxes.
With --trust, how often each sentence about trust applies in each folder (at most 400 images of
each, at random): the limits in `pipeline/inference/heatmap.py` come from this.
"""

import argparse
import json
import random
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.accuracy.heatmap_score import BOXES_FILE, read_inputs, score_external
from cli.learn.heatmap_table import print_heatmap_scores
from pipeline.decode.decode import decode
from pipeline.drawing import display_levels, overlay_png
from pipeline.errors import PipelineError
from pipeline.evaluation.heatmaps.boxes import BoxedImage, read_boxes
from pipeline.inference.engine import load_engine
from pipeline.inference.heatmap import FAINT, MUCH, NARROW, SOME, WIDE, body_shares, measure_trust
from pipeline.inference.version_folder import BASELINE
from pipeline.prepare.network_input import DECODED_SIZE, network_input

TILE = 320  # pixels
ACROSS = 8  # tiles
SAMPLE = 400  # images a folder
LIMITS = ("faint", "wide", "narrow", "some outside", "much outside", "some air", "much air")
SUFFIXES = {".jpeg", ".jpg", ".png", ".dcm", ".tif", ".tiff"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("external", type=Path, nargs="?")
    parser.add_argument("--version", type=Path, default=BASELINE)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--trust", type=Path, nargs="+", default=[])
    arguments = parser.parse_args()
    if arguments.external is None and not arguments.trust:
        parser.error("expected EXTERNAL or --trust")
    try:
        run(arguments)
    except PipelineError as error:
        sys.exit(str(error))


def run(arguments: argparse.Namespace) -> None:
    if arguments.trust:
        show_trust(arguments.trust, version=arguments.version)
    if arguments.external is None:
        return
    scores = score_external(arguments.version, arguments.external)
    if arguments.json:
        print(json.dumps(scores, indent=2))
    else:
        show_scores(scores)
    if arguments.sheet:
        images = read_boxes(arguments.external / BOXES_FILE)
        draw_sheet(images, version=arguments.version).save(arguments.sheet)


def show_scores(scores: dict[str, Any]) -> None:
    print_heatmap_scores(scores)
    print(f"\n{'weights shuffled':34}correlation with the original, range of draws; empty")
    for row in scores["randomisation"]:
        spread = f"{row['correlation']:6.3f} ({row['low']:.3f} to {row['high']:.3f})"
        print(f"{row['layers']:34}{spread:32}{row['empty']:.3f}")


def draw_sheet(images: list[BoxedImage], *, version: Path) -> Image.Image:
    inference = load_engine(version).infer(read_inputs(images))
    rows = -(-len(images) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * TILE, rows * TILE))
    for place, image in enumerate(images):
        tile = draw_overlay(image, inference.heatmaps[place])
        ImageDraw.Draw(tile).text((4, 4), f"{inference.logits[place]:.1f}", "white")
        sheet.paste(tile, (place % ACROSS * TILE, place // ACROSS * TILE))
    return sheet


def draw_overlay(image: BoxedImage, heatmap: np.ndarray) -> Image.Image:
    drawn = overlay_png(display_levels(decode(image.path, minimum_size=DECODED_SIZE)), heatmap)
    tile = Image.open(BytesIO(drawn)).resize((TILE, TILE))
    for left, top, right, bottom in image.boxes * (TILE - 1):
        ImageDraw.Draw(tile).rectangle((left, top, right, bottom), outline="cyan", width=2)
    return tile


def show_trust(folders: list[Path], *, version: Path) -> None:
    engine = load_engine(version)
    print(f"{'':34}images" + "".join(f"{limit:>14}" for limit in LIMITS))
    for folder in folders:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        files = random.Random(0).sample(files, min(SAMPLE, len(files)))  # noqa: S311
        inputs = np.stack([network_input(decode(f, minimum_size=DECODED_SIZE)) for f in files])
        inference = engine.infer(inputs)
        is_beyond = compare_with_limits(inference.heatmaps, inputs)
        is_pneumonia = inference.logits > 0
        for name, chosen in (("pneumonia", is_pneumonia), ("normal", ~is_pneumonia)):
            shares = "".join(f"{share:14.3f}" for share in is_beyond[chosen].mean(axis=0))
            print(f"{f'{folder.name}, predicted {name}':34}{chosen.sum():5}{shares}")


def compare_with_limits(heatmaps: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Bool (n, 7): which of LIMITS each image is beyond."""
    trusts = measure_trust(heatmaps, inputs)
    peak, concentration, inside = np.array([list(vars(trust).values()) for trust in trusts]).T
    outside, air = 1 - inside, 1 - body_shares(inputs, 7, 7).mean(axis=(1, 2))
    columns = (peak < FAINT, concentration < WIDE, concentration >= NARROW)
    return np.stack((*columns, outside >= SOME, outside >= MUCH, air >= SOME, air >= MUCH), axis=-1)


if __name__ == "__main__":
    main()
