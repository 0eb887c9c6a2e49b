"""A cancelled job's waiting images, a few thousand at a time.

A job's images are tried again, as far as their bytes are still there.
"""

import time
from dataclasses import dataclass

from models.context import AppContext
from models.intake.jobs import JobStateError, cancel_some, require_not_cancelled
from models.intake.retries import Ended, WhichImages, ended_images, take_up
from models.learning.versions import production_version
from models.tables.intake import State
from pipeline.types import PREPROCESSING
from worker.enqueue import nudge_ingest, nudge_predict

PAUSE_S = 0.05
WITHIN_S = 30.0


def cancel_images(context: AppContext, job_id: str) -> None:
    """Those that a worker is writing at this moment follow as soon as it has written."""
    deadline = time.monotonic() + WITHIN_S
    while _cancel_batch(context, job_id):
        if time.monotonic() > deadline:
            raise JobStateError("some images are being written by a worker: cancel once more")
        time.sleep(PAUSE_S)


def _cancel_batch(context: AppContext, job_id: str) -> bool:
    with context.sessions.begin() as session:
        return cancel_some(session, job_id)


IMAGES_A_TRANSACTION = 1000


@dataclass(frozen=True)
class Retried:
    """left: those that have no bytes any more."""

    retried: int
    left: int


def retry_images(context: AppContext, job_id: str, *, which: WhichImages) -> Retried:
    """JobStateError where the job is cancelled meanwhile: what was taken up until then is, too."""
    retried, left, after = 0, 0, 0
    while images := _next_batch(context, job_id, which, after):
        steps = {image.id: _step(context, image) for image in images}
        with context.sessions.begin() as session:
            require_not_cancelled(session, job_id)
            for state in (State.READY, State.RECEIVED):
                ids = [image_id for image_id, step in steps.items() if step == state]
                retried += take_up(session, ids, state=state)
        left += sum(step is None for step in steps.values())
        after = images[-1].id
    nudge_ingest(job_id=job_id)
    nudge_predict(job_ids=[job_id])
    return Retried(retried, left)


def _next_batch(context: AppContext, job_id: str, which: WhichImages, after: int) -> list[Ended]:
    with context.sessions() as session:
        version = production_version(session)
        return ended_images(
            session,
            job_id,
            which=which,
            version_id=version.id if version else None,
            operating_point=context.settings.operating_point,
            after=after,
            limit=IMAGES_A_TRANSACTION,
        )


def _step(context: AppContext, image: Ended) -> State | None:
    """How far back it has to go; None where nothing is left of it."""
    if image.was_read and context.store.has_network_input(image.sha256, PREPROCESSING):
        return State.READY
    if image.sha256 and context.store.exists(image.sha256, area="incoming"):
        return State.RECEIVED
    return None
