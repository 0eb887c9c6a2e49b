"""Purges for programs: count what ended jobs would take along, or delete it in small steps."""

import time
from datetime import timedelta

from apiflask import APIBlueprint
from flask import abort

from models.base import now
from models.files.deletion_lock import BackupRunningError
from models.files.purge import JobNotEndedError, WhichJobs, count_purge, next_purgeable, purge_step
from models.intake.jobs import require_job
from models.slots import Slots
from models.tables.people import Role
from web.auth.rules import needs, needs_recent_password, person
from web.context import current_context, read_session
from web.http.limits import PURGES, at_most
from web.operations.schemas import Purge, PurgeOut

bp = APIBlueprint("purges", __name__, tag="Purges")

SECONDS_A_REQUEST = 3.0
PURGE_SLOTS = Slots("purges", 1)


@bp.post("/api/v1/purges")
@bp.input(Purge)
@bp.output(PurgeOut)
@bp.doc(responses=[404, 409])
@at_most(PURGES)
@needs(Role.ADMIN)
@needs_recent_password
def create(json_data: Purge) -> PurgeOut:
    """Delete jobs that have ended, or count what would be deleted."""
    which = _which(json_data)
    if json_data.dry_run:
        with read_session() as session:
            counts = count_purge(session, which)
        return PurgeOut(dry_run=True, counts=counts, purged=0, done=counts.jobs == 0)
    return _purge(which)


def _which(purge: Purge) -> WhichJobs:
    if purge.older_than_days is not None:
        return WhichJobs(ended_before=now() - timedelta(days=purge.older_than_days))
    with read_session() as session:
        require_job(session, purge.job_id or "")
    return WhichJobs(job_id=purge.job_id)


def _purge(which: WhichJobs) -> PurgeOut:
    """Requests are short, so that whoever sends them can show the progress, and stop."""
    context, user_id = current_context(), person().id
    until, purged = time.monotonic() + SECONDS_A_REQUEST, 0
    with PURGE_SLOTS.take():
        while (job_id := _next_job(which)) and time.monotonic() < until:
            try:
                purged += purge_step(context.sessions, context.store, job_id, user_id=user_id)
            except JobNotEndedError:
                abort(409, "the job is being worked on again")
            except BackupRunningError:
                abort(409, "a backup is running: nothing can be deleted until it has ended")
    return PurgeOut(dry_run=False, counts=None, purged=purged, done=job_id is None)


def _next_job(which: WhichJobs) -> str | None:
    with read_session() as session:
        return next_purgeable(session, which)
