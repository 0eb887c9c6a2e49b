"""Cancel or retry a job's images, in batches of some thousand."""

import time

from models.context import AppContext
from models.intake.jobs import JobStateError, cancel_some, require_not_cancelled
from models.intake.retries import Ended, WhichImages, ended_images, take_up
from models.learning.promotion import production_version
from models.tables.intake import State
from pipeline.types import PREPROCESSING
from worker.enqueue import nudge_ingest, nudge_predict

PAUSE_S = 0.05
WITHIN_S = 30.0
IMAGES_A_TRANSACTION = 1000


def cancel_images(context: AppContext, job_id: str) -> None:
    """Images that a worker is writing at the moment are cancelled once it has written them."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        with context.sessions.begin() as session:
            if not cancel_some(session, job_id):
                return
        if time.monotonic() > deadline:
            raise JobStateError("a worker is still writing some images: cancel again")
        time.sleep(PAUSE_S)


def retry_images(context: AppContext, job_id: str, *, which: WhichImages) -> tuple[int, int]:
    """Return how many images wait again, and how many cannot since their files were deleted.

    JobStateError if the job is cancelled at the same time.
    """
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
    nudge_ingest(jobs=[job_id])
    nudge_predict(jobs=[job_id])
    return retried, left


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
    """The state to restart from; None if none of its files are left."""
    stored, store = image.stored_sha256, context.store
    if stored and store.has_network_input(image.sha256, PREPROCESSING):
        return State.READY
    if image.sha256 and store.exists(image.sha256, area="incoming"):
        return State.RECEIVED
    # A lost network input is made again from the de-identified file.
    return State.RECEIVED if stored and store.exists(stored) else None
