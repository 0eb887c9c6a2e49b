"""Predict earlier images again with the production version, while no new image waits.

Their states stay as they are. Chunks are claimed, so that several workers share the work.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from models.context import AppContext
from models.files.presence import require_store
from models.intake.images import lock_images_of
from models.reading.predictions import add_predictions
from models.reading.rereadings import (
    Chunk,
    claim_chunk,
    due_rereading,
    give_back_chunk,
    settle_chunk,
)
from models.tables.intake import ModelVersion
from pipeline.inference.predictor import Predictor
from worker.chunks import PASSING
from worker.predict import LivePredictor, predict_stored

log = logging.getLogger(__name__)


def reread_chunk(context: AppContext, live: LivePredictor) -> bool:
    """Returns whether there was anything to do; False also while new images wait. Raises
    StoreAwayError.
    """
    require_store(context.store.root)  # before the claim: no image is at fault
    settings = context.settings
    with context.sessions() as session:
        rereading = due_rereading(
            session, operating_point=settings.operating_point, lease_s=settings.lease_s
        )
        if rereading is None:
            return False
        version = rereading.model_version
    predictor = live.open(version, context)
    with context.sessions.begin() as session:
        chunk = claim_chunk(session, rereading.id, settings)
    if chunk is None:
        return False
    with _holding(chunk, context=context):
        _read_again(context, chunk, predictor=predictor, version=version)
    return True


@contextmanager
def _holding(chunk: Chunk, *, context: AppContext) -> Iterator[None]:
    """Give it back after a failure, without waiting for its lease to lapse."""
    try:
        yield
    except Exception as error:
        try:
            with context.sessions.begin() as session:
                give_back_chunk(session, chunk, count_attempt=not isinstance(error, PASSING))
        except PASSING:
            log.warning("a claim could not be given back; waiting for its lease to lapse")
        raise


def _read_again(
    context: AppContext, chunk: Chunk, *, predictor: Predictor, version: ModelVersion
) -> None:
    predictions, failed = predict_stored(context, predictor, chunk.sha256s)
    if failed:  # they keep the prediction that they have
        reasons = "; ".join(sorted({reason.clause for reason in failed.values()}))
        log.warning("%d images could not be read again: %s", len(failed), reasons)
    with context.sessions.begin() as session:
        kept = lock_images_of(session, list(predictions))  # some may have been purged
        predictions = {sha256: predictions[sha256] for sha256 in kept}
        add_predictions(
            session, predictions, model_version_id=version.id, engine=predictor.engine.name
        )
    with context.sessions.begin() as session:  # separately: others may hold equal bytes
        settle_chunk(session, chunk)
