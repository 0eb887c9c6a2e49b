"""A night that this worker has claimed: its lease, its row, and the reasons to stop."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from models.context import AppContext
from models.learning.nights import (
    NightClaim,
    begin_stage,
    extend,
    is_cancelled,
    update_night,
)
from models.tables.learning import Night
from pipeline.errors import PipelineError
from pipeline.training.job import TrainingProgress
from worker.chunks import PASSING
from worker.night.resources import check_memory

log = logging.getLogger(__name__)

HEARTBEAT_S = 5.0
REPORT_EVERY_S = 1.0
PROGRESS_LENGTH = 300


class CancelledError(Exception):
    """A user cancelled the night."""


class LostClaimError(Exception):
    """Another worker has the night, or may have it by now."""


class StoppingError(Exception):
    """This process was asked to stop."""


class ClaimedNight:
    """Writes to the night's row only while the claim stands; else it raises LostClaimError."""

    def __init__(self, context: AppContext, claim: NightClaim) -> None:
        self.context, self.claim = context, claim
        self._reason_to_stop: Exception | None = None
        self._reported_at = 0.0

    def read(self) -> Night:
        with self.context.sessions() as session:
            return session.get_one(Night, self.claim.night_id)

    def check(self) -> None:
        """Raises CancelledError, LostClaimError, StoppingError, MemoryBoundError."""
        if self.context.stopping.is_set():
            raise StoppingError
        if self._reason_to_stop is not None:
            raise self._reason_to_stop

    def begin(self, stage: str) -> None:
        """Raises what `check` raises."""
        self.check()
        with self.context.sessions.begin() as session:
            if not begin_stage(session, self.claim, stage):
                raise LostClaimError

    def save(self, **values: Any) -> None:
        with self.context.sessions.begin() as session:
            if not update_night(session, self.claim, **values):
                raise LostClaimError

    def report(self, step: TrainingProgress) -> None:
        """Show a training's progress in the portal, at most once a second. Raises as `check`."""
        self.check()
        if time.monotonic() - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = time.monotonic()
            self.save(progress=step.describe()[:PROGRESS_LENGTH], share=step.share)

    def beat(self) -> None:
        """Extend the lease, and note if there is a reason to stop."""
        try:
            check_memory(self.context.settings)
            with self.context.sessions.begin() as session:
                is_held = extend(session, self.claim)
                must_stop = is_cancelled(session, self.claim)
        except PipelineError as error:
            self._reason_to_stop = error
            return
        if must_stop:
            self._reason_to_stop = CancelledError()
        elif not is_held:
            self._reason_to_stop = LostClaimError()


@contextmanager
def holding_night(context: AppContext, claim: NightClaim) -> Iterator[ClaimedNight]:
    """One thread extends the lease until the body ends."""
    night = ClaimedNight(context, claim)
    is_over = threading.Event()
    thread = threading.Thread(target=_beat, args=(night, is_over), name="night", daemon=True)
    thread.start()
    try:
        yield night
    finally:
        is_over.set()
        thread.join()


def _beat(night: ClaimedNight, is_over: threading.Event) -> None:
    while not is_over.wait(HEARTBEAT_S):
        try:
            night.beat()
        except PASSING as error:
            log.warning("the night's lease could not be extended: %s", type(error).__name__)
