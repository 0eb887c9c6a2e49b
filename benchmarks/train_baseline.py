"""Train the network that ships with the project.

    python benchmarks/train_baseline.py DATASET --weights FILE [--external FOLDER]

DATASET is in the public layout. The external folder holds a `manifest.csv` with the columns
`file`, `label` and `patient_group`; its radiographs are measured and decide nothing.
"""

import argparse
import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.dataset import Dataset, Example, read_examples
from pipeline.training import train
from pipeline.training_config import TrainingConfig, TrainingProgress
from pipeline.version_folder import BASELINE

CONFIG = TrainingConfig(
    model_version="baseline-1",
    population=(
        "The training split of the public set *Chest X-Ray Images (Pneumonia)* (Kermany, Zhang, "
        "Goldbaum, Mendeley Data 2018, CC BY 4.0): children of 1 to 5 years from one hospital in "
        "Guangzhou, AP view. ImageNet weights of MobileNetV2 (Apache-2.0) to start from."
    ),
    known_limits=(
        "Learned from small children of one hospital, AP view only. In adults it is much "
        "weaker: see the rows of adults above, of several hospitals and the literature, before "
        "you use it there. Nearly half of healthy adults are called pneumonia at this threshold.",
        "Validation patients come from the hospital of the training patients. Elsewhere, "
        "expect a lower AUROC and above all a lower specificity, even in children.",
        "Only pneumonia and normal were in its training. Other diseases with opacities "
        "(oedema, effusion, tumour, atelectasis) will often be called pneumonia.",
        "Lateral views and other body parts were not in its training. The unfamiliarity catches "
        "many of them, not all. Inverted films are recognised and read corrected.",
        "A heatmap shows which places raised the score, 7 x 7 of them; it doesn't outline "
        "a disease, and it may mark a cue that is no disease.",
    ),
)
# How a reader's words of other sets map to ours.
IS_PNEUMONIA = {"normal": 0, "abnormal_no_pneumonia": 0, "pneumonia": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--weights", type=Path, help="MobileNetV2's ImageNet weights")
    parser.add_argument("--external", type=Path)
    parser.add_argument("--output", type=Path, default=BASELINE)
    arguments = parser.parse_args()
    others = read_external(arguments.external) if arguments.external else {}
    config = replace(CONFIG, start_weights=arguments.weights)
    train(arguments.dataset, arguments.output, config=config, others=others, progress=tell)


def read_external(folder: Path) -> Mapping[str, Dataset]:
    """Adults: normal against pneumonia, and everything else against pneumonia."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["label"] in IS_PNEUMONIA]
    examples = [
        Example(folder / Path(row["file"]).name, IS_PNEUMONIA[row["label"]], row["patient_group"])
        for row in rows
    ]
    everyone = read_examples(examples)
    is_plain = np.array([row["label"] != "abnormal_no_pneumonia" for row in rows])
    return {
        "adults, normal or pneumonia": everyone.where(is_plain),
        "adults, with other diseases": everyone,
    }


def tell(step: TrainingProgress) -> None:
    if "validation" in step.text or step.done in (0, step.total):
        print(f"{step.stage} {step.done}/{step.total} {step.text}", flush=True)


if __name__ == "__main__":
    main()
