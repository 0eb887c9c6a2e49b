"""Wait in a request for the end of a job, so that its sender need not ask again and again."""

import time

from flask import request

from models.context import AppContext
from models.intake.jobs import is_finished
from models.slots import BusyError, Slots

LONGEST_S = 4.0  # shorter than a stopping portal lets requests finish
SHORTEST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.2
LATE_BY = 0.1  # of the time waited, at most, between those
WAITS = Slots("waiting requests", 8)  # a quarter of the portal's threads


def wait_wanted_s() -> float:
    """By the header `Prefer: wait=SECONDS` (RFC 7240), which a server may ignore."""
    wanted = request.headers.get("Prefer", "").strip().removeprefix("wait=")
    return min(float(wanted), LONGEST_S) if wanted.isascii() and wanted.isdigit() else 0.0


def wait_for_end(context: AppContext, job_id: str, *, within_s: float) -> None:
    """Return immediately if too many requests wait already."""
    began = time.monotonic()
    try:
        with WAITS.take():
            while (waited_s := time.monotonic() - began) < within_s:
                if _has_ended(context, job_id):
                    return
                pause_s = max(LATE_BY * waited_s, SHORTEST_PAUSE_S)
                time.sleep(min(pause_s, LONGEST_PAUSE_S, within_s - waited_s))
    except BusyError:
        return


def _has_ended(context: AppContext, job_id: str) -> bool:
    with context.sessions() as session:
        return is_finished(session, job_id)
