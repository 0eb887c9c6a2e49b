"""What ingest and predict share: working by chunks, and giving back what a failure leaves."""

import errno
import faulthandler
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import TypeVar

from sqlalchemy.orm import Session

from models.config.logs import following
from models.config.secrets import SecretsError
from models.context import AppContext
from models.intake.claims import Claim, release
from models.session import AWAY, why_away
from models.tables.workers import Problem

log = logging.getLogger(__name__)

T = TypeVar("T")

HUNG_AFTER = 1.25  # times the lease: work within its limits has long ended
TURN_S = 20.0  # then other tasks of the same process get their turn
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class PassingError(Exception):
    """Something that the work needs is not available at the moment. One clause."""

    problem = Problem.TASKS


class VersionError(PassingError):
    """The production version cannot be opened."""

    problem = Problem.VERSION


class NoDecodersError(PassingError):
    problem = Problem.DECODERS


# Failures of the environment: they pass, and no file is at fault.
PASSING = (OSError, PassingError, *AWAY)
# Of these no file is at fault either; any other error of reading a file is that file's.
_NO_FILES_FAULT = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EACCES,
    errno.EPERM,
    errno.ESTALE,
}


def repeat(work: Callable[[AppContext], bool], context: AppContext) -> bool:
    """Work until nothing waits (False), or the turn is over or the process stops (True)."""
    deadline = time.monotonic() + TURN_S
    while not context.stopping.is_set():
        with _exit_if_hung(after_s=HUNG_AFTER * context.settings.lease_s):
            had_work = work(context)
        if not had_work:
            return False
        if time.monotonic() > deadline:
            return True
    return True


@contextmanager
def _exit_if_hung(*, after_s: float) -> Iterator[None]:
    """A chunk that hangs ends its process with a traceback; the supervisor starts another one, and
    the images are retried when their lease has lapsed.

    Celery ends tasks only in pools of processes, and a Python thread would not run while a library
    holds the interpreter's lock; faulthandler's thread needs no lock.
    """
    faulthandler.dump_traceback_later(after_s, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def holding(claim: Claim, *, context: AppContext) -> Iterator[set[int]]:
    """Give back what the body leaves undone, without waiting for the lease to lapse.

    Yields the images' ids, from which the body removes those that it has recorded.
    After a passing failure or a request to stop it is as if it was never claimed. After an
    unexpected error the attempt counts, and each image is retried alone.
    """
    count_attempt, left = False, {image.id for image in claim.images}
    with following(jobs=jobs_of(claim)):
        log.info("%d images claimed, %s", len(claim.images), claim.state.value)
        try:
            yield left
            log.info("%d images recorded", len(claim.images) - len(left))
        except PASSING:
            raise
        except Exception:
            count_attempt = True
            raise
        finally:
            if left:
                _give_back(claim, context=context, count_attempt=count_attempt)


def _give_back(claim: Claim, *, context: AppContext, count_attempt: bool) -> None:
    try:
        with context.sessions.begin() as session:
            release(session, claim, count_attempt=count_attempt)
    except PASSING:
        log.warning("a claim could not be given back; waiting for its lease to lapse")


@contextmanager
def passing_failures() -> Iterator[None]:
    """The sweeper retries after failures that pass; its interval is the back-off."""
    try:
        yield
    except PASSING as error:
        log.warning("interrupted, will be retried by the sweeper: %s", describe(error))


def raise_if_passing(error: OSError) -> None:
    """Raises the error of reading a file, unless the file itself cannot be read: a bad sector."""
    if error.errno in _NO_FILES_FAULT:
        raise error


def describe(failure: BaseException) -> str:
    """One line for the log that names no file and no patient."""
    if isinstance(failure, AWAY):
        return f"the database: {why_away(failure)}"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    is_ours = isinstance(failure, (PassingError, SecretsError))
    return str(failure) if is_ours else type(failure).__name__


def jobs_of(claim: Claim) -> list[str]:
    return sorted({image.job_id for image in claim.images})


def by_turns(claim: Claim) -> list[str]:
    """SHA-256s, one of each job in turn: slow files of one job do not use up the whole chunk."""
    of_jobs: dict[str, list[str]] = {}
    for image in claim.images:
        of_jobs.setdefault(image.job_id, []).append(image.sha256)
    turns = zip_longest(*of_jobs.values())
    return list(dict.fromkeys(sha256 for turn in turns for sha256 in turn if sha256 is not None))


def record(write: Callable[[Session], T], *, context: AppContext) -> T:
    """One short transaction, retried for the time of a lease while the database is away."""
    pause_s, deadline = FIRST_PAUSE_S, time.monotonic() + context.settings.lease_s
    while True:
        try:
            with context.sessions.begin() as session:
                return write(session)
        except AWAY:
            if time.monotonic() > deadline or context.stopping.wait(pause_s):
                raise
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def report_late(refused: int) -> None:
    """Another worker has the images since a lease lapsed, or they were cancelled or purged."""
    if refused:
        log.warning("%d late results refused: they are no longer claimed", refused)
