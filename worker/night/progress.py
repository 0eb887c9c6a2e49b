"""Extends a night's lease while it runs, and says when to stop."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from models.context import AppContext
from models.learning.nights import NightClaim, extend, is_cancelled, note
from pipeline.errors import PipelineError
from pipeline.training.job import TrainingProgress
from worker.chunks import WORLD
from worker.night.resources import check_memory

log = logging.getLogger(__name__)

LEASE_S = 30.0
BEAT_S = 5.0
WRITE_EVERY_S = 1.0
PROGRESS_LENGTH = 300


class CancelledError(Exception):
    """Someone asked the night to stop."""


class LostClaimError(Exception):
    """Another worker has the night, or may have it by now."""


class StoppingError(Exception):
    """This process was asked to stop."""


class NightWatch:
    """One thread extends the lease. Trouble is raised where the work asks, by `check`."""

    def __init__(self, context: AppContext, claim: NightClaim) -> None:
        self._doors, self._claim = context, claim
        self._trouble: Exception | None = None
        self._written_at = 0.0

    def check(self) -> None:
        """Raises CancelledError, LostClaimError, StoppingError, MemoryBoundError."""
        if self._doors.stopping.is_set():
            raise StoppingError
        if self._trouble is not None:
            raise self._trouble

    def tell(self, step: TrainingProgress) -> None:
        """How far the training is, for the portal; at most once a second."""
        self.check()
        if time.monotonic() - self._written_at < WRITE_EVERY_S:
            return
        self._written_at = time.monotonic()
        words = step.describe()[:PROGRESS_LENGTH]
        with self._doors.sessions.begin() as session:
            held = note(session, self._claim, progress=words, share=step.share)
        if not held:
            raise LostClaimError

    def beat(self) -> None:
        """Extend the lease, and look whether there is a reason to stop."""
        try:
            check_memory(self._doors.settings)
            with self._doors.sessions.begin() as session:
                held = extend(session, self._claim, lease_s=LEASE_S)
                stops = is_cancelled(session, self._claim)
        except PipelineError as error:
            self._trouble = error
            return
        if stops:
            self._trouble = CancelledError()
        elif not held:
            self._trouble = LostClaimError()


@contextmanager
def watching(context: AppContext, claim: NightClaim) -> Iterator[NightWatch]:
    watch = NightWatch(context, claim)
    is_over = threading.Event()
    thread = threading.Thread(target=_keep, args=(watch, is_over), name="night-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()


def _keep(watch: NightWatch, is_over: threading.Event) -> None:
    while not is_over.wait(BEAT_S):
        try:
            watch.beat()
        except WORLD as error:
            log.warning("the night's lease could not be extended: %s", type(error).__name__)
