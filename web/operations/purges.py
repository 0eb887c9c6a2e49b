"""Purges for programs: what was kept long enough goes, in small steps."""

import time
from contextlib import suppress
from datetime import timedelta
from itertools import chain

from apiflask import APIBlueprint
from flask import abort
from sqlalchemy.orm import Session

from models.base import now
from models.files.deletion_lock import BackupRunningError
from models.files.purge import StillAtWorkError, discard_noted, purge_step
from models.files.purge_plan import (
    WhichJobs,
    count_purge,
    iter_gone_inputs,
    iter_gone_stored,
    list_plans,
    next_purgeable,
)
from models.intake.jobs import require_job
from models.tables.people import Role
from web.auth.rules import needs, person
from web.context import current_context
from web.operations.schemas import Purge, PurgeCountsOut, PurgeJobOut, PurgeOut

bp = APIBlueprint("purges", __name__, tag="Purges")

SECONDS_A_REQUEST = 3.0


@bp.post("/api/v1/purges")
@bp.input(Purge)
@bp.output(PurgeOut)
@bp.doc(responses=[404, 409])
@needs(Role.ADMIN)
def create(json_data: Purge) -> PurgeOut:
    """What is left of ended jobs: say what would go, or delete some of it."""
    which = _which(json_data)
    if json_data.dry_run:
        with current_context().sessions() as session:
            return _plan(session, which)
    return _purge(which)


def _which(purge: Purge) -> WhichJobs:
    if purge.older_than_days is not None:
        return WhichJobs(ended_before=now() - timedelta(days=purge.older_than_days))
    with current_context().sessions() as session:
        require_job(session, purge.job_id or "")
    return WhichJobs(job_id=purge.job_id)


def _plan(session: Session, which: WhichJobs) -> PurgeOut:
    plans = list_plans(session, which)
    counts = count_purge(session, which)
    files, size = _gone_files(session, which)
    return PurgeOut(
        dry_run=True,
        jobs=[PurgeJobOut.model_validate(plan) for plan in plans],
        counts=PurgeCountsOut(**vars(counts), files=files, bytes=size),
        purged=0,
        done=counts.jobs == 0,
    )


def _gone_files(session: Session, which: WhichJobs) -> tuple[int, int]:
    """How many, and of how many bytes."""
    store, count, size = current_context().store, 0, 0
    inputs = (store.paths_of_upload(one) for one in iter_gone_inputs(session, which))
    stored = (store.path(one) for one in iter_gone_stored(session, which))
    for path in chain(chain.from_iterable(inputs), stored):
        with suppress(FileNotFoundError):  # another purge, or the tidy, may be at work
            size += path.stat().st_size
            count += 1
    return count, size


def _purge(which: WhichJobs) -> PurgeOut:
    """Steps are short, and so are requests: whoever asks can show how far it is, and stop."""
    sessions, store, user_id = current_context().sessions, current_context().store, person().id
    discard_noted(sessions, store)
    until, purged = time.monotonic() + SECONDS_A_REQUEST, 0
    while job_id := _next_job(which):
        try:
            step = purge_step(sessions, store, job_id, user_id=user_id)
        except StillAtWorkError:
            abort(409, "the job was taken up again meanwhile")
        except BackupRunningError:
            abort(409, "a backup is being made: nothing can be deleted until it has ended")
        purged += step.images
        if time.monotonic() > until:
            break
    return PurgeOut(
        dry_run=False, jobs=[], counts=None, purged=purged, done=_next_job(which) is None
    )


def _next_job(which: WhichJobs) -> str | None:
    with current_context().sessions() as session:
        return next_purgeable(session, which)
