"""The out-of-distribution check of a version's network, refitted to other images.

    python -m benchmarks.accuracy.guard DATASET ADULT HOSTILE [--version FOLDER]

DATASET is in the public layout. ADULT holds `manifest.csv`: of its rows with `use` train, three in
five patients are fitted to, one in five sets limits, one in five is judged; the other rows are
judged only. HOSTILE is as of `benchmarks.accuracy.familiarity`; pydicom's test files and films that
were changed on purpose count as strange images, too. Three fits: to children, to children and
generated radiographs (as baseline-2's was), and to children and adults.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom.data
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.accuracy.familiarity import read, read_disguised, read_other
from pipeline.familiarity.distance import LIMIT, WARNING_LIMIT, appearance
from pipeline.familiarity.fit import GuardImages, fit_guard
from pipeline.familiarity.guard import Guard
from pipeline.inference.engine import Engine, load_engine
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.phantom.drawing import draw_phantom
from pipeline.prepare.network_input import network_input
from pipeline.training.config import TrainingConfig
from pipeline.training.data.splits import split_of
from pipeline.training.train import read_job
from pipeline.types import DecodedImage

Inputs = NDArray[np.uint8]
DRAWN, DRAWN_SIDE = 240, 1024
CHANGED = 40  # films
CHILDREN, ADULTS = "children", "adults"
JUDGED, LIMITS = ("judged", 0.2), ("limits", 0.25)  # shares, the second of what the first leaves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("adult", type=Path)
    parser.add_argument("hostile", type=Path)
    parser.add_argument("--version", type=Path, default=BASELINE)
    arguments = parser.parse_args()
    engine = load_engine(arguments.version)
    config = TrainingConfig.from_json(load_card(arguments.version).raw["config"])
    job = read_job(arguments.dataset, config=config)
    training = guard_images(engine, job.training.images, CHILDREN)
    validation = guard_images(engine, job.validation.images, CHILDREN)
    adults = {name: guard_images(engine, x, ADULTS) for name, x in read_adults(arguments.adult)}
    drawn = guard_images(engine, draw(DRAWN), CHILDREN)
    films = adults["adults, judged"].images
    strange = guard_images(engine, np.stack(list(read_strange(arguments.hostile, films))), "")
    judged = {"children, validation": validation, **adults, "generated": drawn, "strange": strange}
    judged.pop("adults, fitted")
    children = fit_guard(training, validation)
    with_drawn = fit_guard(joined(training, drawn), validation).features
    fits = {
        "as shipped": Guard.load(arguments.version / "familiarity.npz"),
        "children": children,
        "children and generated": replace(children, features=with_drawn),
        "children and adults": fit_guard(
            joined(training, adults["adults, fitted"]),
            joined(validation, adults["adults, limits"]),
        ),
    }
    for name, guard in fits.items():
        show(name, guard, judged)


def guard_images(engine: Engine, images: Inputs, population: str) -> GuardImages:
    parts = [engine.infer(images[n : n + 64]).features for n in range(0, len(images), 64)]
    return GuardImages(images, np.concatenate(parts), np.full(len(images), population))


def joined(first: GuardImages, second: GuardImages) -> GuardImages:
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return GuardImages(*(np.concatenate(pair) for pair in pairs))


def read_adults(folder: Path) -> Iterator[tuple[str, Inputs]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    parts: dict[str, list[Path]] = {}
    for row in rows:
        parts.setdefault(part_of(row), []).append(folder / row["file"])
    for name, paths in parts.items():
        yield f"adults, {name}", np.stack([read(path) for path in paths])


def part_of(row: Mapping[str, str]) -> str:
    if row["use"] != "train":
        return "other hospitals"
    for name, share in (JUDGED, LIMITS):
        if split_of(row["patient_group"], key=name, validation_share=share) == "validation":
            return name
    return "fitted"


def draw(count: int) -> Inputs:
    size = (DRAWN_SIDE, DRAWN_SIDE)
    films = (
        draw_phantom(seed=n, finding=("normal", "pneumonia")[n % 2], size=size)
        for n in range(count)
    )
    return np.stack([network_input(DecodedImage(film, *size)) for film in films])


def read_strange(hostile: Path, films: Inputs) -> Iterator[Inputs]:
    yield from dict(read_other(hostile)).values()
    for path in sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm")):
        if (pixels := read_disguised(path)) is not None:
            yield pixels
    for n, film in enumerate(films[:CHANGED]):
        yield change(film, films[(n + 1) % len(films)], kind=n % 8)


def change(film: Inputs, other: Inputs, *, kind: int) -> Inputs:
    image, half = Image.fromarray(film), len(film) // 2
    a, b, c, d = film[:half, :half], film[:half, half:], film[half:, :half], film[half:, half:]
    match kind:
        case 0:
            changed = a  # a quarter
        case 1:
            changed = film[2 * len(film) // 3 :]  # the abdomen
        case 2:
            changed = np.block([[d, c], [b, a]])
        case 3:
            changed = film // 64 * 64
        case 4:
            changed = np.asarray(image.filter(ImageFilter.FIND_EDGES))
        case 5:
            changed = np.hstack([film[:, ::2], other[:, ::2]])  # two films
        case 6:
            changed = np.pad(film[::2, ::2], half // 2)  # in a black frame
        case _:
            changed = np.asarray(image.filter(ImageFilter.GaussianBlur(8)))
    return np.asarray(Image.fromarray(changed).resize(image.size, Image.Resampling.BILINEAR))


def show(name: str, guard: Guard, judged: Mapping[str, GuardImages]) -> None:
    print(f"fitted to: {name}\n{'':28}images  no finding  warned")
    for part, images in judged.items():
        found = guard.unfamiliarity(appearance(images.images), images.features)
        beyond, warned = (found > LIMIT).mean(), ((found > WARNING_LIMIT) & (found <= LIMIT)).mean()
        print(f"    {part:24}{len(found):6}{beyond:12.1%}{warned:8.1%}", flush=True)


if __name__ == "__main__":
    main()
