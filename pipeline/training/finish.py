"""From trained weights to a model version's folder: export, calibrate, measure, describe."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.calibration import (
    even_weights,
    large_groups,
)
from pipeline.evaluation.decision_curve import decision_curve
from pipeline.evaluation.evaluate import ScoreCollector, Scores, evaluate
from pipeline.evaluation.population_calibration import Calibrations, Labelled, calibrate
from pipeline.evaluation.subgroups import evaluate_subgroups, groups_of, summary
from pipeline.familiarity.fit import GuardImages, fit_guard
from pipeline.familiarity.guard import FAMILIARITY_FILE, Guard
from pipeline.inference.engine import Engine, load_engine
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import Card, write_folder
from pipeline.inference.without_vnni import check_without_vnni
from pipeline.reports.card import describe_images, make_card, write_card
from pipeline.reports.charts import learning_curves_svg
from pipeline.subject import UNSTATED, Subject
from pipeline.training.checkpoint import LearningCurves
from pipeline.training.data.augmentation import augment
from pipeline.training.data.dataset import Dataset
from pipeline.training.export import choose_calibration, export_network
from pipeline.training.framework import keras
from pipeline.training.job import TrainingJob, TrainingProgress
from pipeline.training.network import fold_batch_normalisation, round_to_float16
from pipeline.types import Inference

AUGMENTED_VIEWS = 2  # of each validation image, to calibrate with
BATCH = 64


def finish(network: keras.Model, job: TrainingJob, *, curves: LearningCurves, output: Path) -> Path:
    """Export a trained network, calibrate and measure what was exported, and write its folder.

    Every figure comes from the compiled engine with the weights as they are served. Raises
    UnequalPredictionsError.
    """
    fold_batch_normalisation(network)
    round_to_float16(network)
    evaluation = _Evaluation(job)

    def fill(folder: Path) -> None:
        job.progress(TrainingProgress(stage="export", done=0, total=1))
        images = choose_calibration(job.training.images, seed=job.config.seed)
        is_quantised = job.config.precision == "int8"
        export_network(network, folder, calibration=images if is_quantised else None)
        drawing = learning_curves_svg(**asdict(curves))
        (folder / "learning_curves.svg").write_text(drawing, encoding="utf-8")
        job.progress(TrainingProgress(stage="export", done=1, total=1))
        card = evaluation.run(folder, curves=curves)
        write_card(card | dict(job.card_entries(folder)), folder)
        evaluation.report_end()

    return write_folder(output, fill=fill)


class _Evaluation:
    """Calibrates and measures an exported network; reports each batch."""

    def __init__(self, job: TrainingJob) -> None:
        self._job, self._validation = job, job.validation
        self._groups = large_groups(job.validation.labels, job.groups)
        fitted = 0 if job.guard else len(job.training)
        measured = sum(map(len, job.test_sets.values()))
        self._done = 0
        self._total = (2 + AUGMENTED_VIEWS) * len(job.validation) + fitted + measured + 1

    def run(self, folder: Path, *, curves: LearningCurves) -> dict[str, Any]:
        """Return the version's card. Raises UnequalPredictionsError."""
        engine = load_engine(folder, precision=self._job.config.precision)
        plain = self._infer(engine, self._validation.images, "calibrating")
        calibrations = self._calibrate(engine, plain=plain.logits)
        guard = self._job.guard or self._fit_guard(engine, validation_features=plain.features)
        guard.save(folder / FAMILIARITY_FILE)
        raw = make_card(
            self._job.config.as_json(),
            data={
                name: describe_images(part.images, part.labels, part.patients)
                for name, part in (("train", self._job.training), ("validation", self._validation))
            },
            calibrations=calibrations,
            heatmap_size=plain.heatmaps.shape[1:],
            groups=tuple(self._groups),
            curves=asdict(curves),
        )
        predictor = Predictor(card=Card.from_json(raw), engine=engine, guard=guard)
        measured = {"validation": self._validation, **self._job.test_sets}
        for name, part in measured.items():
            self._measure(predictor, name, part, raw)
        if predictor.card.precision == "int8":
            found = check_without_vnni(predictor, folder, self._validation.images)
            raw["without_vnni"] = asdict(found)
        return raw

    def _measure(self, predictor: Predictor, name: str, part: Dataset, raw: dict[str, Any]) -> None:
        scores, card = self._scores(predictor, part), predictor.card
        raw["metrics"][name] = evaluate(scores, card=card)
        raw["decision_curves"][name] = decision_curve(scores)
        if groups := groups_of(_subjects(part)):
            rows = evaluate_subgroups(scores, groups, card=card)
            raw["subgroups"][name] = [summary(row) for row in rows]

    def report_end(self) -> None:
        self._report(self._total - self._done)

    def _calibrate(self, engine: Engine, *, plain: NDArray[np.float32]) -> Calibrations:
        """Of every validation image, plain and augmented.

        Images elsewhere will differ from these, and a network is less certain of them.
        """
        views = [self._view_logits(engine, seed=seed) for seed in range(AUGMENTED_VIEWS)]
        times = 1 + AUGMENTED_VIEWS
        validation = self._validation
        images = Labelled(
            np.tile(validation.labels, times),
            np.concatenate([plain, *views]),
            np.tile(validation.patients, times),
            np.tile(populations_of(validation), times),
        )
        groups = [np.tile(group, times) for group in self._groups.values()]
        everything = np.ones(len(images.labels), np.bool_)
        is_plain = np.arange(len(everything)) < len(validation)
        parts = [part & rows for part in (everything, *groups) for rows in (is_plain, everything)]
        return calibrate(
            images,
            floors=self._job.config.sensitivity_floors(),
            parts=parts,
            weights=even_weights(images.labels, groups),
        )

    def _view_logits(self, engine: Engine, *, seed: int) -> NDArray[np.float32]:
        """float32 (n,), of every validation image once, augmented; the same for the same seed."""
        found = []
        for start, batch in _batches(self._validation.images):
            view = augment(batch, seed=(seed, start), config=self._job.config).numpy()
            found.append(engine.infer(view).logits)
            self._report(len(batch), "calibrating")
        return np.concatenate(found)

    def _fit_guard(self, engine: Engine, *, validation_features: NDArray[np.float32]) -> Guard:
        training = self._infer(engine, self._job.training.images, "fitting the guard").features
        return fit_guard(
            _guard_images(self._job.training, training),
            _guard_images(self._validation, validation_features),
        )

    def _scores(self, predictor: Predictor, part: Dataset) -> Scores:
        """As served, with inverted images corrected: `overread evaluate` gives the same."""
        collector = ScoreCollector()
        for start, batch in _batches(part.images):
            stated = [one.population for one in _subjects(part)[start : start + BATCH]]
            for n, prediction in enumerate(predictor.predict(batch, populations=stated), start):
                collector.add(prediction, label=part.labels[n], patient=part.patients[n])
            self._report(len(batch), "measuring")
        return collector.scores()

    def _infer(self, engine: Engine, images: NDArray[np.uint8], text: str) -> Inference:
        parts = []
        for _, batch in _batches(images):
            parts.append(engine.infer(batch))
            self._report(len(batch), text)
        names = [field.name for field in fields(Inference)]
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return Inference(**joined)

    def _report(self, images: int, text: str = "") -> None:
        self._done += images
        self._job.progress(
            TrainingProgress(stage="evaluate", done=self._done, total=self._total, text=text)
        )


def _subjects(dataset: Dataset) -> Sequence[Subject]:
    """As far as the data set states them."""
    return dataset.subjects or [UNSTATED] * len(dataset)


def populations_of(dataset: Dataset) -> NDArray[np.str_]:
    return np.array([one.population or "" for one in _subjects(dataset)], np.str_)


def _guard_images(dataset: Dataset, features: NDArray[np.float32]) -> GuardImages:
    return GuardImages(dataset.images, features, populations=populations_of(dataset))


def _batches(images: NDArray[np.uint8]) -> Sequence[tuple[int, NDArray[np.uint8]]]:
    return [(start, images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
