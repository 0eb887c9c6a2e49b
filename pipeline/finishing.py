"""From trained weights to a model version's folder: export, calibrate, judge, describe."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration import choose_threshold, fit_temperature, probability_of
from pipeline.card import Ingredients, make_card, write_card
from pipeline.dataset import Dataset
from pipeline.engine import load_engine
from pipeline.evaluation import Scores, collect, evaluate
from pipeline.export import export_network
from pipeline.familiarity import LIMIT, WARNING_LIMIT
from pipeline.familiarity_fit import fit_guard
from pipeline.fitting import Progress
from pipeline.learning_curves import LearningCurves, plot_learning_curves
from pipeline.network import fold_batch_normalisation, round_to_float16
from pipeline.predictor import Predictor
from pipeline.training_config import TrainingConfig, TrainingProgress
from pipeline.version_folder import FAMILIARITY_FILE, Card, write_folder

if TYPE_CHECKING:
    import keras


def finish(
    network: "keras.Model",
    learning: Dataset,
    validation: Dataset,
    *,
    output: Path,
    config: TrainingConfig,
    curves: LearningCurves,
    others: Mapping[str, Dataset],
    progress: Progress = lambda step: None,
) -> Path:
    """Export a trained network, calibrate and measure what was exported, and write its folder.

    Every figure comes from the compiled engine with the weights as they are served.
    """
    fold_batch_normalisation(network)
    round_to_float16(network)

    def fill(folder: Path) -> None:
        progress(TrainingProgress(stage="export", done=0, total=1))
        export_network(network, folder)
        plot_learning_curves(curves, folder / "learning_curves.png")
        progress(TrainingProgress(stage="evaluate", done=0, total=1))
        ingredients = _evaluate(folder, learning, validation, config=config, others=others)
        write_card(make_card(ingredients, config=config, curves=asdict(curves)), folder)
        progress(TrainingProgress(stage="evaluate", done=1, total=1))

    return write_folder(output, fill=fill)


def _evaluate(
    folder: Path,
    learning: Dataset,
    validation: Dataset,
    *,
    config: TrainingConfig,
    others: Mapping[str, Dataset],
) -> Ingredients:
    engine = load_engine(folder)
    seen = engine.infer(validation.images)
    changed = engine.infer(_views(validation.images, seed=config.seed))
    temperature = fit_temperature(validation.labels, seen.logits)
    both = probability_of(np.concatenate([seen.logits, changed.logits]), temperature=temperature)
    thresholds = {
        name: choose_threshold(np.tile(validation.labels, 2), both, sensitivity_floor=floor)
        for name, floor in config.sensitivity_floors().items()
    }
    images = np.concatenate([learning.images, _views(learning.images, seed=1)])
    guard = fit_guard(
        images=images,
        features=engine.infer(images).features,
        validation_images=validation.images,
        validation_features=seen.features,
        strange_share=config.strange_share,
    )
    guard.save(folder / FAMILIARITY_FILE)

    # As served, corrections of inverted films included, so that `overread evaluate` agrees.
    card = Card(
        model_version=config.model_version,
        temperature=temperature,
        thresholds=thresholds,
        unfamiliarity_limit=LIMIT,
        warning_limit=WARNING_LIMIT,
        warning=config.unfamiliar_warning,
        metrics={},
        raw={},
    )
    predictor = Predictor(card=card, engine=engine, guard=guard, operating_point="balanced")
    evaluations = {
        name: evaluate(_scores(predictor, part), card=card)
        for name, part in ({"validation": validation} | dict(others)).items()
    }
    return Ingredients(
        learning=learning,
        validation=validation,
        temperature=temperature,
        thresholds=thresholds,
        evaluations=evaluations,
        heatmap_size=seen.heatmaps.shape[1:],
    )


def _scores(predictor: Predictor, part: Dataset, *, batch: int = 32) -> Scores:
    starts = range(0, len(part), batch)
    batches = (predictor.predict(part.images[start : start + batch]) for start in starts)
    return collect(chain.from_iterable(batches), labels=part.labels, patients=part.patients)


def _views(images: NDArray[np.uint8], *, seed: int, batch: int = 64) -> NDArray[np.uint8]:
    """Every image once, augmented; the same for the same seed."""
    import tensorflow as tf

    from pipeline.augmentation import augment

    tf.random.set_seed(seed)
    starts = range(0, len(images), batch)
    views: Any = [augment(images[start : start + batch]).numpy() for start in starts]
    return np.concatenate(views)
