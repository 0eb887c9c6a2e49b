"""Compare candidate and production on the same frozen test images; store the metrics of both."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from pipeline.evaluation.bootstrap import LEVEL
from pipeline.evaluation.compare import Answers, Comparison, compare, level_of_each
from pipeline.evaluation.curves import curves_as_json
from pipeline.evaluation.evaluate import ScoreCollector, Scores, evaluate
from pipeline.inference.predictor import Predictor
from pipeline.training.job import Progress, TrainingProgress
from pipeline.types import OperatingPoint, Split

log = logging.getLogger(__name__)

COMMON: OperatingPoint = "balanced"  # versions of the first format have no other


class MissingInputError(PipelineError):
    """A test image can no longer be read."""


@dataclass(frozen=True)
class OpenVersion:
    """A version and the operating point at which it is compared."""

    version_id: int
    predictor: Predictor
    operating_point: OperatingPoint

    def answers(self, scores: Scores) -> Answers:
        card = self.predictor.card
        return Answers(
            model_version=card.model_version,
            scores=scores,
            operating_point=self.operating_point,
            threshold=card.thresholds[self.operating_point],
            unfamiliarity_limit=card.unfamiliarity_limit,
        )

    def figures(self, scores: Scores) -> dict[str, Any]:
        found = evaluate(scores, card=self.predictor.card, operating_point=self.operating_point)
        return found.as_json() | curves_as_json(scores)


def compare_versions(
    context: AppContext,
    *,
    snapshot_id: int,
    candidate: ModelVersion,
    production: ModelVersion,
    level: float = LEVEL,
    progress: Progress | None = None,
) -> list[Comparison]:
    """Return a comparison for each origin of the snapshot's test images, the site's first.

    level: of the intervals of all comparisons together. progress: called after each prediction;
    its exceptions pass through. Raises NetworkFolderError, MissingInputError.
    """
    sets = _test_sets(context, snapshot_id)
    both = _open_both(context.settings, candidate=candidate, production=production)
    counter = _Counter(progress, total=2 * sum(map(len, sets.values())))
    level_of_one = level_of_each(len(sets), level=level)
    comparisons = []
    for origin, images in sets.items():
        ours, theirs = (_predict(context, images, opened, counter) for opened in both)
        for opened, answers in zip(both, (ours, theirs), strict=True):
            _store(context, opened, answers, snapshot_id=snapshot_id, origin=origin)
            counter.add(0)
        comparisons.append(compare(origin, ours, theirs, level=level_of_one))
    return comparisons


def _test_sets(context: AppContext, snapshot_id: int) -> dict[str, list[SnapshotImage]]:
    """By origin, the site's own first; images always in the same order."""
    with context.sessions() as session:
        images = snapshot_images(session, snapshot_id, split=Split.TEST)
    origins = sorted({image.origin for image in images}, key=lambda name: (name != SITE, name))
    return {name: [image for image in images if image.origin == name] for name in origins}


def _open_both(
    settings: Settings, *, candidate: ModelVersion, production: ModelVersion
) -> tuple[OpenVersion, OpenVersion]:
    """Compare at the operating point in use; if one of them lacks it, at the balanced one."""
    ours, theirs = _open(settings, candidate), _open(settings, production)
    point = settings.operating_point
    for predictor in (ours, theirs):
        if point not in predictor.card.thresholds:
            log.warning(
                "%s has no operating point %s: both versions are compared at %s",
                predictor.model_version,
                point,
                COMMON,
            )
            point = COMMON
    return OpenVersion(candidate.id, ours, point), OpenVersion(production.id, theirs, point)


def _open(settings: Settings, version: ModelVersion) -> Predictor:
    path = version_path(version, data_dir=settings.data_dir)
    return Predictor.open(path, operating_point=COMMON)


class _Counter:
    """Counts the predictions of both versions."""

    def __init__(self, progress: Progress | None, *, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, predictions: int) -> None:
        self._done += predictions
        if self._progress is not None:
            step = TrainingProgress(stage="evaluate", done=self._done, total=self._total, share=1.0)
            self._progress(step)


def _predict(
    context: AppContext, images: Sequence[SnapshotImage], opened: OpenVersion, counter: _Counter
) -> Answers:
    collector = ScoreCollector()
    inputs = _inputs(context, images, opened.predictor)
    for image, prediction in opened.predictor.predict_each(inputs):
        label = int(image.label is LabelValue.PNEUMONIA)
        collector.add(prediction, label=label, patient=image.patient_hash)
        counter.add(1)
    return opened.answers(collector.scores())


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


def _store(
    context: AppContext, opened: OpenVersion, answers: Answers, *, snapshot_id: int, origin: str
) -> None:
    """Scores that are not numbers have no metrics; the gate refuses such a version."""
    if not answers.are_numbers:
        return
    figures = opened.figures(answers.scores)
    with context.sessions.begin() as session:
        add_evaluation(
            session,
            figures,
            model_version_id=opened.version_id,
            snapshot_id=snapshot_id,
            origin=origin,
        )
