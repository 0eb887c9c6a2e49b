"""The out-of-distribution check on other images, and the detection of orientation.

    python -m benchmarks.accuracy.familiarity DATASET EXTERNAL HOSTILE [--version FOLDER]

DATASET is in the public layout: its validation patients count. EXTERNAL holds adults' images, with
`manifest.csv`. HOSTILE holds images and a `manifest.csv` whose column `expected` marks what is
not a chest radiograph. DICOM files among these are refused by their tags; here their pixels are
checked, too, as if the tags claimed a chest.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
from numpy.typing import NDArray

from pipeline.decode.decode import decode
from pipeline.errors import RefusedError
from pipeline.evaluation.metrics import auroc
from pipeline.familiarity.distance import appearance
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE
from pipeline.prepare.network_input import DECODED_SIZE, network_input
from pipeline.training.labelled.dataset import open_split
from pipeline.types import Prediction

NO_CHEST = "not a chest radiograph"
CLAIMS = ("Modality", "BodyPartExamined", "ViewPosition", "StudyDescription", "SeriesDescription")
Inputs = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("external", type=Path)
    parser.add_argument("hostile", type=Path)
    parser.add_argument("--version", type=Path, default=BASELINE)
    arguments = parser.parse_args()
    predictor = Predictor.open(arguments.version)
    set_aside = open_split(
        arguments.dataset, split="validation", config=predictor.card.raw["config"]
    )
    validation = np.stack([read(image.path) for image in set_aside])
    adults = np.stack([read(path) for path in sorted(arguments.external.glob("*.jpg"))])
    other = dict(read_other(arguments.hostile))
    show_familiarity(predictor, validation, adults, other)
    show_orientation(predictor, {"validation": validation, "adults": adults})


def read(path: Path) -> Inputs:
    return network_input(decode(path, minimum_size=DECODED_SIZE))


def read_other(hostile: Path) -> Iterator[tuple[str, Inputs]]:
    """What can be decoded at all; the rest is refused anyway."""
    with (hostile / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["expected"].startswith(NO_CHEST)]
    by_tags = by_content = 0
    for row in rows:
        path = hostile / Path(row["file"]).relative_to(hostile.name)
        try:
            yield path.name, read(path)
        except RefusedError as refusal:
            is_by_tags = " (0" in str(refusal)
            by_tags, by_content = by_tags + is_by_tags, by_content + (not is_by_tags)
            if is_by_tags and (pixels := read_disguised(path)) is not None:
                yield f"{path.name} (disguised)", pixels
    print(f"{len(rows)} no chests: {by_tags} refused by tags, {by_content} by their content")


def read_disguised(path: Path) -> Inputs | None:
    dataset = pydicom.dcmread(path, force=True)
    for keyword in CLAIMS:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.Modality = "CR"
    with TemporaryDirectory() as folder:
        disguised = Path(folder) / "disguised.dcm"
        try:
            dataset.save_as(disguised)
            return read(disguised)
        except (RefusedError, ValueError, TypeError, AttributeError):
            return None


def show_familiarity(
    predictor: Predictor, validation: Inputs, adults: Inputs, other: dict[str, Inputs]
) -> None:
    answers = predictor.predict(np.stack(list(other.values())))
    far = unfamiliarities(answers)
    for name, images in (("validation", validation), ("adults", adults)):
        judged = predictor.predict(images)
        near = unfamiliarities(judged)
        labels = np.repeat(np.array([0, 1], np.uint8), [len(near), len(far)])
        warned = np.mean([predictor.card.warning in answer.warnings for answer in judged])
        print(
            f"{name}: {len(near)} images, no finding {share_beyond(judged):.1%}, "
            f"warning {warned:.1%}, AUROC of other images against them "
            f"{auroc(labels, np.concatenate([near, far])):.4f}"
        )
    print(f"other: {len(far)} images, no finding {share_beyond(answers):.1%}; not noticed:")
    for name, answer in zip(other, answers, strict=True):
        if answer.finding is not None:
            print(f"    {name}: unfamiliarity {answer.unfamiliarity:.2f}, {answer.warnings}")


def show_orientation(predictor: Predictor, images: dict[str, Inputs]) -> None:
    print(
        "stored way (quarter turns; from 4 inverted): rightly corrected, wrongly, doubted, silent"
    )
    for name, inputs in images.items():
        for way in range(8):
            stored = np.rot90(255 - inputs if way >= 4 else inputs, way % 4, axes=(1, 2))
            found, sentences = predictor.guard.orientation.judge(appearance(stored))
            is_doubted = np.array([s is not None for s in sentences]) & (found == 0)
            right, wrong = found == way, (found != way) & (found != 0)
            silent = (found == 0) & ~is_doubted & (way != 0)
            shares = " ".join(f"{x.mean():7.2%}" for x in (right, wrong, is_doubted, silent))
            print(f"    {name} {way}: {shares}")


def unfamiliarities(answers: list[Prediction]) -> NDArray[np.float64]:
    return np.array([answer.unfamiliarity for answer in answers])


def share_beyond(answers: list[Prediction]) -> float:
    return float(np.mean([answer.finding is None for answer in answers]))


if __name__ == "__main__":
    main()
