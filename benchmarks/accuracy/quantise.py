"""Quantise a version's network, and compare it with the version as it serves.

    python -m benchmarks.accuracy.quantise DATASET --external FOLDER --output FOLDER
        [--version FOLDER]

DATASET is what the version was trained on, in the public layout; its training images calibrate, its
validation patients, and the external radiographs as in `train_baseline`, are compared. The new
version's temperature, thresholds, guard and card are fitted to the quantised network. The last rows
limit oneDNN to AVX2, which has no VNNI.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.train_baseline import read_external, tell
from pipeline.evaluation.evaluate import ScoreCollector, Scores
from pipeline.evaluation.versions.compare import Answers, compare, level_of_each
from pipeline.evaluation.versions.promotion_gate import Gate, decide_promotion
from pipeline.inference.engine import NETWORK_FILE
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.inference.without_vnni import compare_without_vnni
from pipeline.training.checkpoint import LearningCurves
from pipeline.training.config import TrainingConfig
from pipeline.training.data.dataset import Dataset
from pipeline.training.train import read_job
from pipeline.types import Prediction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--external", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--version", type=Path, default=BASELINE)
    arguments = parser.parse_args()
    config = replace(
        TrainingConfig.from_json(load_card(arguments.version).raw["config"]), precision="int8"
    )
    job = read_job([arguments.dataset], config=config, progress=tell)
    external = read_external(arguments.external)
    sets = {"validation": job.validation, **external}
    if not arguments.output.exists():
        from pipeline.training.finish import finish  # imports TensorFlow
        from pipeline.training.framework import keras

        network = keras.models.load_model(arguments.version / NETWORK_FILE, compile=False)
        curves = LearningCurves(**load_card(arguments.version).raw["learning_curves"])
        job = replace(job, test_sets={**external, **job.test_sets})
        finish(network, job, curves=curves, output=arguments.output)
    show(sets, quantised=arguments.output, version=arguments.version)


def show(sets: Mapping[str, Dataset], *, quantised: Path, version: Path) -> None:
    both = Predictor.open(quantised), Predictor.open(version)
    level = level_of_each(len(sets))
    comparisons = []
    for name, dataset in sets.items():
        candidate, production = (one.predict(dataset.images) for one in both)
        print(f"{name}: int8 against float32: {differences(candidate, production)}")
        limited = compare_without_vnni(both[0], quantised, dataset.images)
        print(f"{name}: int8 without VNNI against with: {limited}")
        answers = [
            Answers(scores_of(found, dataset), predictor.card)
            for found, predictor in zip((candidate, production), both, strict=True)
        ]
        compared = compare(name, *answers, level=level)
        comparisons.append(compared)
        for figure in ("auroc", "sensitivity", "specificity", "unanswered"):
            pair = getattr(compared, figure)
            lost = pair.difference
            print(
                f"    {figure}: {pair.candidate.value:.4f} against {pair.production.value:.4f}, "
                f"difference {lost.value:+.4f} ({lost.low:+.4f} to {lost.high:+.4f})"
            )
    print(decide_promotion(comparisons, gate=Gate()).reason)


def scores_of(found: list[Prediction], dataset: Dataset) -> Scores:
    collector = ScoreCollector()
    for n, prediction in enumerate(found):
        collector.add(prediction, label=dataset.labels[n], patient=dataset.patients[n])
    return collector.scores()


def differences(one: list[Prediction], other: list[Prediction]) -> str:
    pairs = list(zip(one, other, strict=True))
    found = sum(a.finding != b.finding for a, b in pairs)
    moved = max(abs(a.probability - b.probability) for a, b in pairs)
    maps = [(a.heatmap.ravel(), b.heatmap.ravel()) for a, b in pairs]
    drawn = [(a, b) for a, b in maps if np.ptp(a) and np.ptp(b)]
    alike = np.mean([np.corrcoef(a, b)[0, 1] for a, b in drawn])
    peaks = np.mean([a.argmax() == b.argmax() for a, b in drawn])
    return (
        f"{found} of {len(pairs)} findings differ, probabilities by at most {moved:.3f}; "
        f"heatmaps correlate {alike:.3f}, {peaks:.0%} have the same peak"
    )


if __name__ == "__main__":
    main()
