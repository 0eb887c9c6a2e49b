"""Train the network that ships with the project.

    python -m benchmarks.train_baseline DATASET --weights FILE [--external FOLDER]

DATASET is in the public layout. The external folder holds a `manifest.csv` with the columns
`file`, `label` and `patient_group`, and `boxes.csv`; its radiographs are measured for the card.
The recipe was found by `experiments.py`; see `benchmarks/experiments.md`. Two cores take about half
an hour.
"""

import argparse
import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.heatmap_score import score_external
from pipeline.inference.version_folder import BASELINE, check_is_new
from pipeline.training.config import TrainingConfig
from pipeline.training.data.dataset import Dataset, read_images
from pipeline.training.job import TrainingProgress
from pipeline.training.labelled.image import LabelledImage
from pipeline.training.train import read_job, train

CONFIG = TrainingConfig(
    model_version="baseline-2",
    unfamiliar_warning="somewhat unlike the training images: children aged 1 to 5, one hospital",
    population=(
        "The training split of the public set *Chest X-Ray Images (Pneumonia)* (Kermany, Zhang, "
        "Goldbaum, Mendeley Data 2018, CC BY 4.0): children of 1 to 5 years from one hospital in "
        "Guangzhou, AP view. ImageNet weights of MobileNetV2 (Apache-2.0) to start from."
    ),
    known_limits=(
        "Learned from small children of one hospital, AP view only. In adults it is much "
        "weaker: see the rows of adults above, of several hospitals and the literature, before "
        "you use it there. Nearly half of healthy adults get a finding of pneumonia at this "
        "threshold.",
        "Validation patients come from the hospital of the training patients. Elsewhere, "
        "expect a lower AUROC and above all a lower specificity, even in children.",
        "Only pneumonia and normal were in its training. Other diseases with opacities "
        "(oedema, effusion, tumour, atelectasis) will often be predicted pneumonia.",
        "Lateral views and other body parts were not in its training. The unfamiliarity catches "
        "most of them, not all: a lateral image or a CT slice of the chest without DICOM tags may "
        "get an answer. Turned and inverted images are recognised and read corrected; images that "
        "are mirrored left to right cannot be recognised.",
        "A heatmap shows which places raised the score, 7 x 7 of them; it doesn't outline "
        "a disease, and it may mark a cue that is not disease.",
    ),
)
OTHER_DISEASE = "abnormal_no_pneumonia"
IS_PNEUMONIA = {"normal": 0, OTHER_DISEASE: 0, "pneumonia": 1}
ADULTS, ALL_ADULTS = "adults, normal or pneumonia", "adults, with other diseases"
COMMAND = "overread evaluate external/manifest.csv --root . --patient-column patient_group"
COMMANDS = {ADULTS: COMMAND, ALL_ADULTS: f"{COMMAND} --as-normal {OTHER_DISEASE}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--weights", type=Path, help="MobileNetV2's ImageNet weights")
    parser.add_argument("--external", type=Path)
    parser.add_argument("--output", type=Path, default=BASELINE)
    arguments = parser.parse_args()
    check_is_new(arguments.output)  # before the images are read
    others = read_external(arguments.external) if arguments.external else {}
    config = replace(CONFIG, start_weights=arguments.weights)

    def extras(folder: Path) -> Mapping[str, Any]:
        if not arguments.external:
            return {}
        return {
            "commands": COMMANDS,
            "heatmap_scores": score_external(folder, arguments.external),
        }

    job = read_job([arguments.dataset], config=config, progress=tell)
    job = replace(job, test_sets={**others, **job.test_sets}, card_entries=extras)
    train(job, arguments.output)


def read_external(folder: Path) -> Mapping[str, Dataset]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["label"] in IS_PNEUMONIA]
    examples = [
        LabelledImage(
            row["file"],
            folder / Path(row["file"]).name,
            IS_PNEUMONIA[row["label"]],
            row["patient_group"],
        )
        for row in rows
    ]
    everyone = read_images(examples)
    is_plain = np.array([row["label"] != OTHER_DISEASE for row in rows])
    return {ADULTS: everyone.where(is_plain), ALL_ADULTS: everyone}


def tell(step: TrainingProgress) -> None:
    if "validation" in step.text or step.done in (0, step.total):
        print(f"{step.stage} {step.done}/{step.total} {step.text}", flush=True)


if __name__ == "__main__":
    main()
