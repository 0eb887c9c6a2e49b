"""Keeps things moving: what waits is nudged again, what stopped its worker too often is parked."""

import logging

from models.claims import has_waiting, park_exhausted
from models.tables import State
from worker.doors import Doors
from worker.enqueue import nudge_ingest, nudge_predict
from worker.uploads import discard_uploads

log = logging.getLogger(__name__)


def sweep(doors: Doors) -> None:
    with doors.sessions.begin() as session:
        parked = park_exhausted(session, max_attempts=doors.settings.max_attempts)
    if parked:
        log.error("parked %d images that stopped their worker too often", len(parked))
        discard_uploads(doors, parked)
    with doors.sessions() as session:
        received = has_waiting(session, State.RECEIVED)
        ready = has_waiting(session, State.READY)
    if received:
        nudge_ingest()
    if ready:
        nudge_predict()
