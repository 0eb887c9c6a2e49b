"""A cancelled job's waiting images, a few thousand at a time."""

import time

from models.intake.jobs import JobStateError, cancel_some
from web.services import Services

PAUSE_S = 0.05
WITHIN_S = 30.0


def cancel_images(services: Services, job_id: str) -> None:
    """Those that a worker is writing at this moment follow as soon as it has written."""
    deadline = time.monotonic() + WITHIN_S
    while _some(services, job_id):
        if time.monotonic() > deadline:
            raise JobStateError("some images are being written by a worker: cancel once more")
        time.sleep(PAUSE_S)


def _some(services: Services, job_id: str) -> bool:
    with services.sessions.begin() as session:
        return cancel_some(session, job_id)
