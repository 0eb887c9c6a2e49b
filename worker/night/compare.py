"""Compare candidate and production on the same frozen test images; store the metrics of both."""

import logging
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from models.config.settings import Settings
from models.context import AppContext
from models.intake.images import tags_of
from models.learning.evaluations import add_evaluation
from models.learning.snapshots import SITE, snapshot_images
from models.learning.versions import version_path
from models.tables.intake import ModelVersion
from models.tables.learning import LabelValue, SnapshotImage
from pipeline.evaluation.curves import curves_as_json
from pipeline.evaluation.evaluate import ScoreCollector, evaluate
from pipeline.evaluation.versions.compare import Answers, Comparison, compare, level_of_each
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import load_card
from pipeline.subject import populations_in
from pipeline.training.job import Progress, TrainingProgress
from pipeline.types import OperatingPoint, Split
from worker.night.training_data import snapshot_inputs

log = logging.getLogger(__name__)

COMMON: OperatingPoint = "balanced"  # versions of the first format have no other


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
    versions = candidate, production
    predictors = _open(context.settings, versions)
    total, numbers = 2 * sum(map(len, sets.values())), count(1)

    def count_one() -> None:
        done = next(numbers)
        progress(TrainingProgress(stage="evaluate", done=done, total=total, share=1.0))

    comparisons = []
    for origin, images in sets.items():
        both = []
        for version, predictor in zip(versions, predictors, strict=True):
            both.append(_predict(context, images, predictor, count_one))
            key = {"model_version_id": version.id, "snapshot_id": snapshot_id, "origin": origin}
            _store(context, both[-1], key)
        comparisons.append(compare(origin, *both, level=level_of_each(len(sets))))
    return comparisons


def _test_sets(context: AppContext, snapshot_id: int) -> dict[str, list[SnapshotImage]]:
    """By origin, the site's own first; images always in the same order."""
    with context.sessions() as session:
        images = snapshot_images(session, snapshot_id, split=Split.TEST)
    origins = sorted({image.origin for image in images}, key=lambda name: (name != SITE, name))
    return {name: [image for image in images if image.origin == name] for name in origins}


def _open(settings: Settings, versions: Sequence[ModelVersion]) -> list[Predictor]:
    """At the operating point in use; if a version lacks it, at the balanced one."""
    folders = [version_path(version, data_dir=settings.data_dir) for version in versions]
    point = settings.operating_point
    for card in map(load_card, folders):
        if point not in card.thresholds:
            log.warning(
                "%s has no operating point %s: both versions are compared at %s",
                card.model_version,
                point,
                COMMON,
            )
            point = COMMON
    return [Predictor.open(folder, operating_point=point) for folder in folders]


def _predict(
    context: AppContext,
    images: Sequence[SnapshotImage],
    predictor: Predictor,
    count_one: Callable[[], None],
) -> Answers:
    collector = ScoreCollector()
    inputs = snapshot_inputs(context, images, str(predictor.card.raw["preprocessing"]))
    with context.sessions() as session:
        tags = tags_of(session, [image.sha256 for image in images])
    populations = populations_in(tags)
    for image, prediction in predictor.predict_each(
        inputs, population_of=lambda image: populations.get(image.sha256)
    ):
        label = int(image.label is LabelValue.PNEUMONIA)
        collector.add(prediction, label=label, patient=image.patient_hash)
        count_one()
    return Answers(collector.scores(), predictor.card)


def _store(context: AppContext, answers: Answers, key: dict[str, Any]) -> None:
    """Scores that are not numbers have no metrics; the gate refuses such a version."""
    if not answers.are_numbers:
        return
    figures = evaluate(answers.scores, card=answers.card) | curves_as_json(answers.scores)
    with context.sessions.begin() as session:
        add_evaluation(session, figures, **key)
