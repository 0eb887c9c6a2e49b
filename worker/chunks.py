"""What ingest and predict have in common: chunk after chunk, and what happens when one fails."""

import faulthandler
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest

from sqlalchemy.orm import Session

from models.base import now
from models.config.logs import following
from models.context import AppContext
from models.intake.claims import Claim, release
from models.session import AWAY, why_away

log = logging.getLogger(__name__)

HUNG_AFTER = 1.25  # times the lease: long after whoever works within its limits has ended
TURN_S = 20.0  # then others get their turn: sweeps, and the other queues of the same process
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class PassingError(Exception):
    """Something that this work needs is not to be had just now. One plain clause."""


# The world's failures: they pass, and are no file's fault.
WORLD = (OSError, PassingError, *AWAY)


def repeat(work: Callable[[], bool], *, context: AppContext, turn_s: float = TURN_S) -> bool:
    """Until nothing waits (False), or time is up or the process stops (True: nudge again)."""
    deadline = time.monotonic() + turn_s
    while not context.stopping.is_set():
        with _ending_what_hangs(after_s=HUNG_AFTER * context.settings.lease_s):
            had_work = work()
        if not had_work:
            return False
        if time.monotonic() > deadline:
            return True
    return True


@contextmanager
def _ending_what_hangs(*, after_s: float) -> Iterator[None]:
    """A chunk that hangs would keep its process's only place for ever: the process ends itself,
    says where it hung, and is started anew; its images come back with the lapse of their lease.

    Celery ends tasks only in pools of processes. A thread of ours would not run while a library
    holds the interpreter's lock; this one needs none.
    """
    faulthandler.dump_traceback_later(after_s, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def holding(claim: Claim, *, context: AppContext) -> Iterator[None]:
    """Whatever the body left undone goes back at its end, without waiting for the lease.

    After the world's failure or a request to stop it goes back as if never claimed. After an
    unexpected error the attempt counts, and the next one is made alone.
    """
    count_attempt = False
    with following(jobs=jobs_of(claim)):
        log.info("%d images claimed, %s", len(claim.images), claim.state.value)
        try:
            yield
        except WORLD:
            raise
        except Exception:
            count_attempt = True
            raise
        finally:
            try:
                with context.sessions.begin() as session:
                    release(session, claim, count_attempt=count_attempt)
            except WORLD:
                log.warning("a claim could not be given back; its lease will lapse")


def plainly(failure: BaseException) -> str:
    """One line for the log, with nothing in it that may name a file or a patient."""
    if isinstance(failure, AWAY):
        return f"the database: {why_away(failure)}"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return str(failure) if isinstance(failure, PassingError) else type(failure).__name__


def jobs_of(claim: Claim) -> list[str]:
    return sorted({image.job_id for image in claim.images})


def by_turns(claim: Claim) -> list[str]:
    """Its contents, one of each job, then the next of each: if the files of one use up the chunk's
    time, some of the others' were read all the same.
    """
    of_jobs: dict[str, list[str]] = {}
    for image in claim.images:
        of_jobs.setdefault(image.job_id, []).append(image.sha256)
    turns = zip_longest(*of_jobs.values())
    return list(dict.fromkeys(sha256 for turn in turns for sha256 in turn if sha256 is not None))


def record(write: Callable[[Session], None], *, claim: Claim, context: AppContext) -> None:
    """One short transaction; while the database is away, again until the claim has lapsed."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            with context.sessions.begin() as session:
                write(session)
            return
        except AWAY:
            if now() > claim.until or context.stopping.wait(pause_s):
                raise
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
