"""Compare candidate and production on the same frozen test images; store the metrics of both."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.config.settings import Settings
from models.context import AppContext
from models.learning.evaluations import add_evaluation
from models.learning.snapshots import SITE, snapshot_images
from models.learning.versions import version_path
from models.tables.intake import ModelVersion
from models.tables.learning import LabelValue, SnapshotImage
from pipeline.errors import PipelineError
from pipeline.evaluation.compare import Answers, Comparison, compare, level_of_each
from pipeline.evaluation.curves import curves_as_json
from pipeline.evaluation.evaluate import ScoreCollector, Scores, evaluate
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import Card
from pipeline.training.job import Progress, TrainingProgress
from pipeline.types import OperatingPoint, Split

log = logging.getLogger(__name__)

COMMON: OperatingPoint = "balanced"  # versions of the first format have no other


class MissingInputError(PipelineError):
    """A test image can no longer be read."""


def compare_versions(
    context: AppContext,
    *,
    snapshot_id: int,
    candidate: ModelVersion,
    production: ModelVersion,
    progress: Progress,
) -> list[Comparison]:
    """Return a comparison for each origin of the snapshot's test images, the site's first.

    progress: called after each prediction; its exceptions pass through. Raises NetworkFolderError,
    MissingInputError.
    """
    sets = _test_sets(context, snapshot_id)
    opened = [(one.id, _open(context.settings, one)) for one in (candidate, production)]
    point = _common_point(context.settings, [predictor for _, predictor in opened])
    counter = _Counter(progress, total=2 * sum(map(len, sets.values())))
    comparisons = []
    for origin, images in sets.items():
        both = []
        for version_id, predictor in opened:
            scores = _predict(context, images, predictor, counter)
            both.append(_answers(predictor.card, scores, point))
            key = {"model_version_id": version_id, "snapshot_id": snapshot_id, "origin": origin}
            _store(context, predictor.card, both[-1], key)
        comparisons.append(compare(origin, *both, level=level_of_each(len(sets))))
    return comparisons


def _test_sets(context: AppContext, snapshot_id: int) -> dict[str, list[SnapshotImage]]:
    """By origin, the site's own first; images always in the same order."""
    with context.sessions() as session:
        images = snapshot_images(session, snapshot_id, split=Split.TEST)
    origins = sorted({image.origin for image in images}, key=lambda name: (name != SITE, name))
    return {name: [image for image in images if image.origin == name] for name in origins}


def _open(settings: Settings, version: ModelVersion) -> Predictor:
    path = version_path(version, data_dir=settings.data_dir)
    return Predictor.open(path, operating_point=COMMON)


def _common_point(settings: Settings, predictors: Sequence[Predictor]) -> OperatingPoint:
    """The operating point in use; if a version lacks it, the balanced one."""
    for predictor in predictors:
        if settings.operating_point not in predictor.card.thresholds:
            log.warning(
                "%s has no operating point %s: both versions are compared at %s",
                predictor.model_version,
                settings.operating_point,
                COMMON,
            )
            return COMMON
    return settings.operating_point


class _Counter:
    """Counts the predictions of both versions."""

    def __init__(self, progress: Progress, *, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add_one(self) -> None:
        self._done += 1
        step = TrainingProgress(stage="evaluate", done=self._done, total=self._total, share=1.0)
        self._progress(step)


def _predict(
    context: AppContext, images: Sequence[SnapshotImage], predictor: Predictor, counter: _Counter
) -> Scores:
    collector = ScoreCollector()
    for image, prediction in predictor.predict_each(_inputs(context, images, predictor)):
        label = int(image.label is LabelValue.PNEUMONIA)
        collector.add(prediction, label=label, patient=image.patient_hash)
        counter.add_one()
    return collector.scores()


def _inputs(
    context: AppContext, images: Sequence[SnapshotImage], predictor: Predictor
) -> Iterator[tuple[SnapshotImage, NDArray[np.uint8]]]:
    preprocessing = str(predictor.card.raw["preprocessing"])
    for image in images:
        try:
            yield image, context.store.network_input(image.sha256, preprocessing)
        except FileNotFoundError:
            raise MissingInputError(
                f"network input of a test image is missing from the file store "
                f"({predictor.model_version}, preprocessing {preprocessing})"
            ) from None


def _answers(card: Card, scores: Scores, point: OperatingPoint) -> Answers:
    return Answers(
        model_version=card.model_version,
        scores=scores,
        operating_point=point,
        threshold=card.thresholds[point],
        unfamiliarity_limit=card.unfamiliarity_limit,
    )


def _store(context: AppContext, card: Card, answers: Answers, key: dict[str, Any]) -> None:
    """Scores that are not numbers have no metrics; the gate refuses such a version."""
    if not answers.are_numbers:
        return
    found = evaluate(answers.scores, card=card, operating_point=answers.operating_point)
    with context.sessions.begin() as session:
        add_evaluation(session, found.as_json() | curves_as_json(answers.scores), **key)
