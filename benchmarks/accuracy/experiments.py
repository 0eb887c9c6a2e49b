"""Training configurations compared on patient-wise folds, on shifted validation images.

    python -m benchmarks.accuracy.experiments DATASET RECIPES --weights FILE [--external FOLDER]
        [--folds 0 1] [--images 1280] [--validation-images 300]

RECIPES is a JSON file: names with some of TrainingConfig's numbers. Each recipe is trained on a
balanced sample of each fold's training patients and judged on a balanced sample of its validation
patients; the fold's number is also the seed. Prints one JSON line for each training; see
`benchmarks/experiments.md` for results.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.shifts import SHIFTS, SWAPPED, swap_style
from benchmarks.accuracy.train_baseline import ADULTS, read_external
from pipeline.evaluation.calibration import choose_threshold, fit_temperature
from pipeline.evaluation.metrics import auroc
from pipeline.inference.predictor import probability_of
from pipeline.training.config import TrainingConfig, TrainingConfigError
from pipeline.training.dataset import Dataset, read_images
from pipeline.training.fit import Forward, fit_network
from pipeline.training.job import TrainingJob
from pipeline.training.labelled.folder import LabelledFolder
from pipeline.training.splits import split_of

FLOOR = 0.95  # of sensitivity, on validation images as they are


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("recipes", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--external", type=Path)
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--validation-images", type=int, default=300)
    arguments = parser.parse_args()
    try:
        recipes = read_recipes(arguments.recipes, weights=arguments.weights)
    except (OSError, ValueError, TrainingConfigError) as error:
        parser.error(f"{arguments.recipes}: {error}")
    everything = read_images(list(LabelledFolder(arguments.dataset / "train")))
    adults = read_external(arguments.external)[ADULTS] if arguments.external else None
    for fold in arguments.folds:
        learning, validation = sample_fold(everything, fold=fold, arguments=arguments)
        for name, recipe in recipes.items():
            config = replace(recipe, seed=fold)
            found = try_recipe(config, learning, validation, adults=adults)
            print(json.dumps({"recipe": name, "fold": fold} | found), flush=True)


def read_recipes(path: Path, *, weights: Path) -> dict[str, TrainingConfig]:
    recipes = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: replace(TrainingConfig.from_json(values), start_weights=weights)
        for name, values in recipes.items()
    }


def sample_fold(
    everything: Dataset, *, fold: int, arguments: argparse.Namespace
) -> tuple[Dataset, Dataset]:
    is_validation = np.array(
        [
            split_of(patient, key=f"fold {fold}", validation_share=0.2) == "validation"
            for patient in everything.patients
        ]
    )
    random = np.random.default_rng(fold)

    def sample(among: NDArray[np.bool_], count: int) -> Dataset:
        places = [
            random.choice(np.flatnonzero(among & (everything.labels == label)), count // 2, False)
            for label in (0, 1)
        ]
        chosen = np.concatenate(places)
        return everything.where(chosen)

    return (
        sample(~is_validation, arguments.images),
        sample(is_validation, arguments.validation_images),
    )


def try_recipe(
    config: TrainingConfig, learning: Dataset, validation: Dataset, *, adults: Dataset | None
) -> dict[str, Any]:
    start = time.monotonic()
    network, _ = fit_network(TrainingJob(config=config, training=learning, validation=validation))
    forward = Forward(network)
    seconds = time.monotonic() - start
    shifted = {name: change(validation.images) for name, change in SHIFTS.items()}
    shifted[SWAPPED] = swap_style(validation.images, validation.labels)
    logits = {name: forward(images)[0][:, 0] for name, images in shifted.items()}
    found = judge(logits, validation.labels) | {"seconds": round(seconds)}
    if adults is not None:
        found["adults"] = round(auroc(adults.labels, forward(adults.images)[0][:, 0]), 4)
    return found


def judge(
    logits: dict[str, NDArray[np.float32]], labels: NDArray[np.uint8]
) -> dict[str, float | str]:
    """AUROC by shift, and what becomes of sensitivity and specificity at the plain threshold."""
    plain, *_ = logits.values()
    temperature = fit_temperature(labels, plain)
    threshold = choose_threshold(
        labels, probability_of(plain, temperature=temperature), sensitivity_floor=FLOOR
    )
    positive = {
        n: probability_of(z, temperature=temperature) >= threshold for n, z in logits.items()
    }
    aurocs = {name: auroc(labels, z) for name, z in logits.items()}
    changed = list(logits)[1:]
    worst = min(changed, key=lambda name: aurocs[name])
    found = {
        "plain": aurocs[next(iter(logits))],
        "shifted": np.mean([aurocs[name] for name in changed]),
        "worst": aurocs[worst],
        "sensitivity_low": min(positive[name][labels == 1].mean() for name in changed),
        "specificity_low": min(1 - positive[name][labels == 0].mean() for name in changed),
    }
    return {name: round(float(value), 4) for name, value in found.items()} | {"worst_is": worst}


if __name__ == "__main__":
    main()
