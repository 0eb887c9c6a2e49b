"""Candidate and production read the same frozen test images; the figures of both are kept."""

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

EVERYWHERE: OperatingPoint = "balanced"  # versions of the first format know no other


class MissingInputError(PipelineError):
    """A test image can no longer be read."""


@dataclass(frozen=True)
class Opened:
    """A version that answers, and the point at which it is judged."""

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
    """One comparison for each origin of the snapshot's test images, the site's first.

    level: of the intervals of all comparisons together. progress: called after each prediction;
    its exceptions pass through. Raises NetworkFolderError, MissingInputError.
    """
    sets = _test_sets(context, snapshot_id)
    both = _open_both(context.settings, candidate=candidate, production=production)
    teller = _Teller(progress, total=2 * sum(map(len, sets.values())))
    level_of_one = level_of_each(len(sets), level=level)
    comparisons = []
    for origin, images in sets.items():
        ours, theirs = (_read(context, images, opened, teller) for opened in both)
        for opened, answers in zip(both, (ours, theirs), strict=True):
            _keep(context, opened, answers, snapshot_id=snapshot_id, origin=origin)
            teller.tell()
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
) -> tuple[Opened, Opened]:
    """Both are judged at the point in use; where one does not know it, at the balanced one."""
    ours, theirs = _open(settings, candidate), _open(settings, production)
    point = settings.operating_point
    for predictor in (ours, theirs):
        if point not in predictor.card.thresholds:
            log.warning(
                "%s knows no operating point %s: both versions are compared at %s",
                predictor.model_version,
                point,
                EVERYWHERE,
            )
            point = EVERYWHERE
    return Opened(candidate.id, ours, point), Opened(production.id, theirs, point)


def _open(settings: Settings, version: ModelVersion) -> Predictor:
    """On as many threads as this process has cores: a night's has only some, see `bounds`."""
    path = version_path(version, data_dir=settings.data_dir)
    return Predictor.open(path, operating_point=EVERYWHERE)


class _Teller:
    """Counts the predictions of both versions."""

    def __init__(self, progress: Progress | None, *, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def tell(self, *, more: int = 0) -> None:
        self._done += more
        if self._progress is not None:
            step = TrainingProgress(stage="evaluate", done=self._done, total=self._total, share=1.0)
            self._progress(step)


def _read(
    context: AppContext, images: Sequence[SnapshotImage], opened: Opened, teller: _Teller
) -> Answers:
    collector = ScoreCollector()
    inputs = _inputs(context, images, opened.predictor)
    for image, prediction in opened.predictor.predict_each(inputs):
        label = int(image.label is LabelValue.PNEUMONIA)
        collector.add(prediction, label=label, patient=image.patient_hash)
        teller.tell(more=1)
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


def _keep(
    context: AppContext, opened: Opened, answers: Answers, *, snapshot_id: int, origin: str
) -> None:
    """There are figures of numbers only; the gate refuses a version that gives others."""
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
