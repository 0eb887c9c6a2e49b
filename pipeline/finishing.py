"""From trained weights to a model version's folder: export, calibrate, judge, describe."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.augmentation import Shares
from pipeline.calibration import choose_threshold, fit_temperature, probability_of
from pipeline.card import Ingredients, make_card, write_card
from pipeline.dataset import Dataset
from pipeline.engine import Engine, load_engine
from pipeline.evaluation import Scores, collect, evaluate
from pipeline.export import export_network
from pipeline.familiarity import LIMIT, WARNING_LIMIT
from pipeline.familiarity_fit import fit_guard
from pipeline.learning_curves import LearningCurves, plot_learning_curves
from pipeline.network import fold_batch_normalisation, round_to_float16
from pipeline.network_input import SIZE, network_input
from pipeline.phantom import draw_phantom
from pipeline.predictor import Predictor
from pipeline.training_config import Progress, TrainingConfig, TrainingProgress
from pipeline.types import DecodedImage, Finding, OperatingPoint
from pipeline.version_folder import FAMILIARITY_FILE, Card, write_folder

if TYPE_CHECKING:
    import keras

CHANGED_VIEWS = 2
SYNTHETIC = 240
FIRST_SYNTHETIC_SEED = 10_000  # far from those that demos and tests draw


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
    extras: Callable[[Path], Mapping[str, Any]] = lambda folder: {},
) -> Path:
    """Export a trained network, calibrate and measure what was exported, and write its folder.

    Every figure comes from the compiled engine with the weights as they are served. extras: more
    entries of the card, from the folder that has all but its card.
    """
    fold_batch_normalisation(network)
    round_to_float16(network)

    def fill(folder: Path) -> None:
        progress(TrainingProgress(stage="export", done=0, total=1))
        export_network(network, folder)
        plot_learning_curves(curves, folder / "learning_curves.png")
        progress(TrainingProgress(stage="evaluate", done=0, total=1))
        ingredients = _evaluate(folder, learning, validation, config=config, others=others)
        card = make_card(ingredients, config=config, curves=asdict(curves))
        write_card(card | dict(extras(folder)), folder)
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
    temperature, thresholds = _calibrate(engine, validation, plain=seen.logits, config=config)
    guard = fit_guard(
        images=learning.images,
        features=engine.infer(learning.images).features,
        synthetic_features=engine.infer(_synthetic(size=config.size)).features,
        validation_images=validation.images,
        validation_features=seen.features,
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


def _calibrate(
    engine: Engine, validation: Dataset, *, plain: NDArray[np.float32], config: TrainingConfig
) -> tuple[float, dict[OperatingPoint, float]]:
    """Temperature and thresholds on every validation image as it is and in changed views.

    Elsewhere the films will differ from these, and a network is less sure of itself there.
    """
    shares = config.augmentation_shares()
    views = [_views(validation.images, seed=n, shares=shares) for n in range(CHANGED_VIEWS)]
    logits = np.concatenate([plain, *(engine.infer(view).logits for view in views)])
    labels = np.tile(validation.labels, 1 + CHANGED_VIEWS)
    temperature = fit_temperature(labels, logits)
    probabilities = probability_of(logits, temperature=temperature)
    as_they_are = slice(0, len(validation))

    def holds(floor: float) -> float:
        return min(
            choose_threshold(labels[part], probabilities[part], sensitivity_floor=floor)
            for part in (as_they_are, slice(None))
        )

    return temperature, {name: holds(floor) for name, floor in config.sensitivity_floors().items()}


def _scores(predictor: Predictor, part: Dataset, *, batch: int = 32) -> Scores:
    starts = range(0, len(part), batch)
    batches = (predictor.predict(part.images[start : start + batch]) for start in starts)
    return collect(chain.from_iterable(batches), labels=part.labels, patients=part.patients)


def _views(
    images: NDArray[np.uint8], *, seed: int, shares: Shares, batch: int = 64
) -> NDArray[np.uint8]:
    """Every image once, augmented; the same for the same seed."""
    import tensorflow as tf

    from pipeline.augmentation import augment

    views: Any = [
        augment(
            images[start : start + batch], seed=tf.constant([seed, start]), shares=shares
        ).numpy()
        for start in range(0, len(images), batch)
    ]
    return np.concatenate(views)


def _synthetic(*, size: int) -> NDArray[np.uint8]:
    """Drawn films, uint8 (n, size, size): half as files of them reach the network, half direct."""
    findings: tuple[Finding, ...] = ("normal", "pneumonia")
    films = []
    for n in range(SYNTHETIC):
        is_file = n < SYNTHETIC // 2 and size == SIZE  # toys want another size
        sides = (1024, 1024) if is_file else (size, size)
        film = draw_phantom(seed=FIRST_SYNTHETIC_SEED + n, finding=findings[n % 2], size=sides)
        films.append(_as_input(film) if is_file else film)
    return np.stack(films)


def _as_input(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels = (film / 255).astype(np.float32)
    rows, columns = film.shape
    return network_input(DecodedImage(pixels, "image/png", rows=rows, columns=columns))
