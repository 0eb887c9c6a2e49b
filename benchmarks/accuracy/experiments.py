"""Training configurations compared on folds of patients, or by leaving out one origin.

    python -m benchmarks.accuracy.experiments RECIPES SET... --weights FILE --output FOLDER
        [--folds 3 | --leave-one-origin-out] [--only 0 1] [--images N] [--others SET...]

RECIPES is a JSON file: names with some of TrainingConfig's settings. SETs are as for `overread
train`. Each recipe is trained without each fold's patients and judged by them, as they are and
shifted (see `shifts`); OTHERS, which may hold one class alone, are measured, too. The fold's number
is added to the seed. Prints a JSON line for each training, and one for each recipe whose folds are
complete: with every patient's answer from a network that did not see this patient. Whatever is
finished is kept in FOLDER, and an interrupted training continues after its last epoch. --images
trains on so many of each class of each population and view. See `experiments.md` for results.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.folds import (
    Answers,
    Floats,
    fit_fold,
    join,
    origin_folds,
    patient_folds,
    read_answers,
    sample,
)
from benchmarks.shifts import SHIFTS, SWAPPED, swap_style
from pipeline.evaluation.metrics import auroc
from pipeline.training.config import TrainingConfig, TrainingConfigError
from pipeline.training.data.dataset import Dataset, read_images
from pipeline.training.job import TrainingProgress
from pipeline.training.labelled.dataset import open_dataset
from pipeline.training.labelled.image import LabelledImage
from pipeline.training.train import read_sets
from pipeline.types import LABELS

SPECIFICITY: Final = 0.85  # at which sensitivity is stated, by a threshold of each population's own
HELD_OUT: Final = "held out"
SHIFTED_IMAGES: Final = 100  # of each class of each population and view


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", type=Path)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--leave-one-origin-out", action="store_true")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of folds, from 0")
    parser.add_argument("--images", type=int)
    parser.add_argument("--others", type=Path, nargs="+", default=[])
    arguments = parser.parse_args()
    try:
        recipes = read_recipes(arguments.recipes, weights=arguments.weights)
    except (OSError, ValueError, TrainingConfigError) as error:
        parser.error(f"{arguments.recipes}: {error}")
    dataset, _ = read_sets(arguments.sets, config=TrainingConfig(), progress=tell)
    others = {place.stem: read_set(place) for place in arguments.others}
    folds = patient_folds(dataset, folds=arguments.folds)
    if arguments.leave_one_origin_out:
        folds = origin_folds(dataset)
    for name, config in recipes.items():
        folder = arguments.output / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in arguments.only or range(len(folds)):
            start, held_out = time.monotonic(), dataset.where(folds[number].held_out)
            shifted = sample(held_out, images=SHIFTED_IMAGES, seed=number)
            answers = fit_fold(
                dataset,
                folds[number],
                {HELD_OUT: held_out.images, **shift(shifted), **images_of(others)},
                config=replace(config, seed=config.seed + number),
                folder=folder,
                images=arguments.images,
                progress=tell,
            )
            found = judge(held_out, answers[HELD_OUT].logits)
            found |= judge_shifted(shifted, answers)
            found |= judge_others(others, answers, thresholds=thresholds(held_out, answers))
            tell_found(name, folds[number].name, found, seconds=time.monotonic() - start)
        kept = {fold.name: folder / f"{fold.name}.npz" for fold in folds}
        if all(path.is_file() for path in kept.values()):
            parts = {fold: read_answers(path)[HELD_OUT] for fold, path in kept.items()}
            tell_found(name, "all", judge(dataset, join(parts, folds).logits))


def read_recipes(path: Path, *, weights: Path) -> dict[str, TrainingConfig]:
    recipes = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: replace(TrainingConfig.from_json(values), start_weights=weights)
        for name, values in recipes.items()
    }


def read_set(place: Path) -> Dataset:
    images = [one for one in open_dataset(place) if isinstance(one, LabelledImage)]
    return read_images(images, refused=lambda one: print(f"{one.file}: {one.reason}"))


def images_of(others: Mapping[str, Dataset]) -> dict[str, NDArray[np.uint8]]:
    return {name: part.images for name, part in others.items()}


def shift(part: Dataset) -> dict[str, NDArray[np.uint8]]:
    shifted = {name: change(part.images) for name, change in SHIFTS.items()}
    return shifted | {SWAPPED: swap_style(part.images, part.labels)}


def groups_of(part: Dataset) -> dict[str, NDArray[np.bool_]]:
    """Populations, and views where a population has several; bool (n,) by name."""
    populations = np.array([subject.population or "" for subject in part.subjects])
    parts = {name: populations == name for name in np.unique(populations)}
    parts |= {name: part.strata == name for name in np.unique(part.strata)}
    return {str(name): chosen for name, chosen in parts.items() if name.strip()}


def judge(part: Dataset, logits: Floats) -> dict[str, Any]:
    """AUROC, sensitivity at SPECIFICITY and the threshold in logits, of each group."""
    found: dict[str, Any] = {}
    for name, chosen in groups_of(part).items():
        labels, of_group = part.labels[chosen], logits[chosen]
        if len(np.unique(labels)) < 2:
            continue
        threshold = float(np.quantile(of_group[labels == 0], SPECIFICITY))
        found[name] = {
            "auroc": _rounded(auroc(labels, of_group)),
            "sensitivity": _rounded((of_group[labels == 1] > threshold).mean()),
            "threshold": _rounded(threshold),
            "positives": int(labels.sum()),
        }
    return found


def judge_shifted(part: Dataset, answers: Mapping[str, Answers]) -> dict[str, Any]:
    """Mean and worst AUROC of all shifts, in each population."""
    plain, *shifts = (*SHIFTS, SWAPPED)
    found = {}
    for name, group in judge(part, answers[plain].logits).items():
        aurocs = {one: judge(part, answers[one].logits)[name]["auroc"] for one in shifts}
        worst = min(aurocs, key=aurocs.__getitem__)
        found[f"{name}, shifted"] = {
            "as it is": group["auroc"],
            "mean": _rounded(np.mean(list(aurocs.values()))),
            worst: aurocs[worst],
        }
    return found


def thresholds(part: Dataset, answers: Mapping[str, Answers]) -> dict[str, float]:
    return {
        name: found["threshold"] for name, found in judge(part, answers[HELD_OUT].logits).items()
    }


def judge_others(
    others: Mapping[str, Dataset], answers: Mapping[str, Answers], *, thresholds: dict[str, float]
) -> dict[str, Any]:
    """Share called pneumonia at the threshold of their population, by label."""
    found: dict[str, Any] = {}
    for name, part in others.items():
        limits = [thresholds.get(one.population or "", np.nan) for one in part.subjects]
        called = answers[name].logits > np.array(limits)
        found[name] = {
            f"called, of {label}": _rounded(called[part.labels == value].mean())
            for label, value in LABELS.items()
            if (part.labels == value).any()
        }
    return found


def tell_found(recipe: str, fold: str, found: dict[str, Any], *, seconds: float = 0.0) -> None:
    timed = {"seconds": round(seconds)} if seconds else {}
    print(json.dumps({"recipe": recipe, "fold": fold} | found | timed), flush=True)


def tell(step: TrainingProgress) -> None:
    if "validation A" in step.text or step.stage in ("note", "refused", "resume"):
        print(f"{step.stage} {step.done}/{step.total} {step.text}", file=sys.stderr, flush=True)


def _rounded(value: float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    main()
