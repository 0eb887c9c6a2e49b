"""The nightly job: what came in, what is trained from it, and whether that goes live.

labels -> snapshot -> training -> evaluation -> decision. Each stage looks whether it was done
already, so a night that lost its worker goes on where it was.
"""

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy.orm import Session

from models.audit.log import record
from models.base import now
from models.config.settings import Settings
from models.context import AppContext
from models.learning.nights import (
    NightClaim,
    claim_night,
    finish_night,
    get_night,
    note,
    reach,
    release_night,
)
from models.learning.snapshots import get_snapshot, new_label_count
from models.learning.versions import (
    NotMovedError,
    check_servable,
    lock_history,
    production_version,
    promote,
)
from models.tables.intake import ModelVersion
from models.tables.learning import Night, Outcome
from pipeline.errors import PipelineError
from pipeline.evaluation.promotion_gate import Decision, Gate, decide_promotion
from pipeline.familiarity.guard import is_guard_of
from pipeline.text import plural
from worker.chunks import WORLD
from worker.night.candidate import NotEnoughImagesError, candidate_name, train_candidate
from worker.night.compare import compare_versions
from worker.night.drift import measure_drift
from worker.night.progress import (
    LEASE_S,
    CancelledError,
    LostClaimError,
    NightWatch,
    StoppingError,
    watching,
)
from worker.night.snapshot import take_snapshot

log = logging.getLogger(__name__)

NO_VERSION = "no model version is live, so there is nothing to compare with"
CANNOT_TRAIN = "TensorFlow is not installed, so nothing can be trained: make setup-train"
TOO_LONG = "it took longer than {hours:g} h"
TOO_FEW = "{came} since the last training, {needed} are needed"


class CannotTrainError(PipelineError):
    """This machine serves only."""


def run_night(context: AppContext) -> bool:
    """The night that waits, to its end. Returns whether there was one."""
    settings = context.settings
    with context.sessions.begin() as session:
        claim = claim_night(session, lease_s=LEASE_S, max_attempts=settings.max_attempts)
    if claim is None:
        return False
    with watching(context, claim) as watch, _ending(context, claim):
        _Run(context, claim, watch).run()
    return True


@contextmanager
def _ending(context: AppContext, claim: NightClaim) -> Iterator[None]:
    """How a night ends, or goes back, when its work breaks off."""
    try:
        yield
    except LostClaimError:
        log.warning("night %d is another worker's now", claim.night_id)
    except CancelledError:
        _end(context, claim, Outcome.CANCELLED, "cancelled while it was at work")
    except NotEnoughImagesError as error:
        _end(context, claim, Outcome.NOTHING, str(error))
    except (PipelineError, NotMovedError) as error:
        log.error("night %d failed: %s", claim.night_id, error)
        _end(context, claim, Outcome.FAILED, str(error))
    except SoftTimeLimitExceeded:
        hours = context.settings.train_time_limit_s / 3600
        _end(context, claim, Outcome.FAILED, TOO_LONG.format(hours=hours))
    except StoppingError:
        with context.sessions.begin() as session:
            release_night(session, claim)
    except WORLD as error:  # when the lease has lapsed it is tried again
        log.warning("night %d was interrupted by %s", claim.night_id, type(error).__name__)
    except Exception:
        log.exception("night %d failed unexpectedly", claim.night_id)
        with context.sessions.begin() as session:
            release_night(session, claim, count_attempt=True)


def _end(context: AppContext, claim: NightClaim, outcome: Outcome, reason: str) -> None:
    with context.sessions.begin() as session:
        if finish_night(session, claim, outcome, reason):
            log.warning("night %d ended: %s: %s", claim.night_id, outcome.value, reason)


class _Run:
    """One claim's work on one night."""

    def __init__(self, context: AppContext, claim: NightClaim, watch: NightWatch) -> None:
        self._doors, self._claim, self._watch = context, claim, watch
        self._settings = context.settings

    def run(self) -> None:
        production = self._production()
        if production is None:
            self._finish(Outcome.FAILED, NO_VERSION)
            return
        self._look(production)
        snapshot_id = self._freeze()
        if snapshot_id is None:
            return
        candidate = self._train(snapshot_id, production)
        decision = self._compare(snapshot_id, candidate)
        self._decide(decision, candidate)

    def _look(self, production: ModelVersion) -> None:
        """Every night, whether anything is trained or not; once, since what it trains changes what
        is new.
        """
        if self._night().new_labels is not None:
            return
        self._reach("labels")
        drift = measure_drift(self._doors, production, moment=now())
        with self._doors.sessions() as session:
            new = new_label_count(session)
        self._note(drift=drift, new_labels=new)

    def _freeze(self) -> int | None:
        """The snapshot's id; None where too little came, and the night is over."""
        night = self._night()
        if night.snapshot_id is not None:
            return night.snapshot_id
        new, needed = night.new_labels or 0, self._settings.night_min_labels
        if new < needed:
            came = plural(new, "new label")
            self._finish(Outcome.NOTHING, TOO_FEW.format(came=came, needed=needed))
            return None
        self._reach("snapshot")
        snapshot = take_snapshot(self._doors)
        self._note(snapshot_id=snapshot.id)
        return snapshot.id

    def _train(self, snapshot_id: int, production: ModelVersion) -> ModelVersion:
        self._reach("training")
        if importlib.util.find_spec("tensorflow") is None:
            raise CannotTrainError(CANNOT_TRAIN)
        candidate = train_candidate(
            self._doors,
            snapshot_id=snapshot_id,
            production=production,
            name=candidate_name(self._claim.night_id),
            progress=self._watch.tell,
        )
        self._note(candidate_id=candidate.id)
        return candidate

    def _compare(self, snapshot_id: int, candidate: ModelVersion) -> Decision:
        """With what is live by now, whatever was when the night began."""
        self._reach("evaluation")
        production = self._production()
        assert production is not None, "nothing takes the last live version away"
        self._note(production_id=production.id)
        comparisons = compare_versions(
            self._doors,
            snapshot_id=snapshot_id,
            candidate=candidate,
            production=production,
            progress=self._watch.tell,
        )
        return decide_promotion(
            comparisons,
            gate=_gate(self._settings),
            is_guard_refreshed=is_guard_of(candidate.card, self._digest(snapshot_id)),
        )

    def _decide(self, decision: Decision, candidate: ModelVersion) -> None:
        """The decision and what follows from it: one transaction, so neither is there alone."""
        with self._doors.sessions.begin() as session:
            lock_history(session)
            outcome = self._outcome(session, decision)
            note(session, self._claim, decision=decision.as_json(), share=1.0)
            if not finish_night(session, self._claim, outcome, decision.reason):
                raise LostClaimError
            if outcome is Outcome.PROMOTED:
                reason = f"night {self._claim.night_id}: {decision.reason}"
                check_servable(candidate, self._settings)
                promote(session, candidate, user_id=None, reason=reason)
                record(session, user_id=None, action="version.promoted", target=candidate.name)
        log.warning("night %d: %s", self._claim.night_id, decision.reason)

    def _outcome(self, session: Session, decision: Decision) -> Outcome:
        if not decision.is_yes:
            return Outcome.REFUSED
        if self._settings.night_policy == "propose":
            return Outcome.PROPOSED
        live, compared = production_version(session), self._night().production_id
        # Should an admin have moved it meanwhile, one decides about this, too.
        is_same = live is not None and live.id == compared
        return Outcome.PROMOTED if is_same else Outcome.PROPOSED

    def _digest(self, snapshot_id: int) -> str:
        with self._doors.sessions() as session:
            snapshot = get_snapshot(session, snapshot_id)
        assert snapshot is not None
        return snapshot.digest

    def _production(self) -> ModelVersion | None:
        with self._doors.sessions() as session:
            return production_version(session)

    def _night(self) -> Night:
        with self._doors.sessions() as session:
            night = get_night(session, self._claim.night_id)
        assert night is not None
        return night

    def _reach(self, stage: str) -> None:
        self._watch.check()
        with self._doors.sessions.begin() as session:
            if not reach(session, self._claim, stage):
                raise LostClaimError

    def _note(self, **values: Any) -> None:
        with self._doors.sessions.begin() as session:
            if not note(session, self._claim, **values):
                raise LostClaimError

    def _finish(self, outcome: Outcome, reason: str) -> None:
        _end(self._doors, self._claim, outcome, reason)


def _gate(settings: Settings) -> Gate:
    return Gate(
        auroc_margin=settings.gate_auroc_margin,
        sensitivity_margin=settings.gate_sensitivity_margin,
        min_patients=settings.gate_min_patients,
    )
