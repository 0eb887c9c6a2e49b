"""Nudges workers again for what waits, and gives up what stopped its worker too often."""

import logging
import time
from contextlib import suppress

from models.base import now
from models.context import AppContext
from models.counts import merge_counts
from models.intake.claims import fail_exhausted, has_waiting
from models.intake.jobs import NoJobError, cancel_some, half_cancelled_jobs
from models.learning.nights import begin_due_night, fail_exhausted_night, has_waiting_night
from models.reading.rereadings import due_rereading, give_up_exhausted
from models.tables.intake import State
from models.worklist.summaries import refresh_some
from worker.enqueue import nudge_ingest, nudge_predict, nudge_reread, nudge_train

log = logging.getLogger(__name__)

STUDIES_A_STEP = 500
REFRESH_S = 2.0  # of the 10 s between two sweeps: the worker has images to read, too


def sweep(context: AppContext) -> None:
    settings = context.settings
    attempts, lease_s = settings.max_attempts, settings.lease_s
    with context.sessions.begin() as session:
        failed = fail_exhausted(session, max_attempts=attempts, lease_s=lease_s)
        given_up = give_up_exhausted(session, max_attempts=attempts, lease_s=lease_s)
    if given_up:
        log.error("%d images are not read again: each stopped its worker too often", given_up)
    if failed:
        log.error("%d images failed: each stopped its worker too often", failed)
    _sweep_cancelled(context)
    _sweep_nights(context)
    _refresh_work_list(context)
    with context.sessions() as session:
        received = has_waiting(session, State.RECEIVED, lease_s=lease_s)
        ready = has_waiting(session, State.READY, lease_s=lease_s)
        point = settings.operating_point
        reread = due_rereading(session, operating_point=point, lease_s=lease_s)
    if received:
        nudge_ingest()
    if ready:
        nudge_predict()
    if reread:
        nudge_reread()


def _sweep_cancelled(context: AppContext) -> None:
    """The portal was stopped while it cancelled a job: what waits is not read after all."""
    with context.sessions() as session:
        job_ids = half_cancelled_jobs(session)
    for job_id in job_ids:
        # NoJobError: purged in between.
        with suppress(NoJobError), context.sessions.begin() as session:
            cancel_some(session, job_id)


def _refresh_work_list(context: AppContext) -> None:
    """After a promotion it sorts by other predictions. What is left waits for the next sweep."""
    until, is_left = time.monotonic() + REFRESH_S, True
    while is_left and time.monotonic() < until and not context.stopping.is_set():
        with context.sessions.begin() as session:
            is_left = refresh_some(
                session, operating_point=context.settings.operating_point, limit=STUDIES_A_STEP
            )
    with context.sessions.begin() as session:
        merge_counts(session)


def _sweep_nights(context: AppContext) -> None:
    settings = context.settings
    with context.sessions.begin() as session:
        if fail_exhausted_night(session, max_attempts=settings.max_attempts):
            log.error("the night failed after %d attempts", settings.max_attempts)
        begin_due_night(session, settings, moment=now())
        waits = has_waiting_night(session)
    if waits:
        nudge_train()
