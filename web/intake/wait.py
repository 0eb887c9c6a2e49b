"""Wait in a request for the end of a job, so that its sender need not ask again and again."""

import time

from flask import request

from models.context import AppContext
from models.intake.jobs import is_finished
from models.slots import BusyError, Slots

LONGEST_S = 4.0  # shorter than a stopping portal lets requests finish
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.2
WAITS = Slots("waiting requests", 8)  # a quarter of the portal's threads


def wait_wanted_s() -> float:
    """By the header `Prefer: wait=SECONDS` (RFC 7240), which a server may ignore."""
    wanted = request.headers.get("Prefer", "").strip().removeprefix("wait=")
    return min(float(wanted), LONGEST_S) if wanted.isascii() and wanted.isdigit() else 0.0


def wait_for_end(context: AppContext, job_id: str, *, within_s: float) -> None:
    """Return immediately if too many requests wait already."""
    deadline, pause = time.monotonic() + within_s, FIRST_PAUSE_S
    try:
        with WAITS.take():
            while (left := deadline - time.monotonic()) > 0 and not _has_ended(context, job_id):
                time.sleep(min(pause, left))
                pause = min(1.5 * pause, LONGEST_PAUSE_S)
    except BusyError:
        return


def _has_ended(context: AppContext, job_id: str) -> bool:
    with context.sessions() as session:
        return is_finished(session, job_id)
