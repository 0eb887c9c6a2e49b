"""The nightly job: labels -> snapshot -> candidate -> comparison -> decision -> production.

Every step reads what the step before it committed, does its work with no transaction open, and
commits its result before the next one begins:

    measure_drift      the night's drift and number of new labels
    take_snapshot      the snapshot; then its id in the night's row
    train_candidate    the version's folder, renamed into place; its row; its id in the night's row
    compare_versions   the id of the production version; an evaluation per version and test set
    _conclude          decision, outcome and promotion, in one transaction

A step whose result is there already is not repeated, so a night that lost its worker continues
where it was. The night's row is written only while the worker's claim stands.
"""

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from models.audit.log import record
from models.base import now
from models.context import AppContext
from models.learning.nights import (
    NightClaim,
    claim_night,
    finish_night,
    release_night,
    update_night,
)
from models.learning.promotion import lock_history, production_version, promote
from models.learning.snapshots import new_label_count
from models.learning.versions import PromotionError, check_servable
from models.tables.intake import ModelVersion
from models.tables.learning import DatasetSnapshot, Outcome
from pipeline.errors import PipelineError
from pipeline.evaluation.versions.promotion_gate import Decision, Gate, decide_promotion
from pipeline.familiarity.guard import is_guard_of
from pipeline.text import plural
from worker.chunks import PASSING
from worker.night.candidate import train_candidate
from worker.night.claim import (
    CancelledError,
    ClaimedNight,
    LostClaimError,
    StoppingError,
    holding_night,
)
from worker.night.compare import compare_versions
from worker.night.drift import measure_drift
from worker.night.snapshot import take_snapshot
from worker.night.training_data import NotEnoughImagesError

log = logging.getLogger(__name__)


class TookTooLongError(Exception):
    """The night's time is over."""


class CannotTrainError(PipelineError):
    """This installation cannot train."""


def run_night(context: AppContext) -> bool:
    """Run the waiting night to its end. Returns whether there was one."""
    max_attempts = context.settings.max_attempts
    with context.sessions.begin() as session:
        claim = claim_night(session, max_attempts=max_attempts)
    if claim is None:
        return False
    with holding_night(context, claim) as night, _ending(context, claim):
        production = _get_production(context)
        _measure_drift(night, production)
        snapshot = _take_snapshot(night)
        candidate = _train_candidate(night, snapshot, production)
        decision = _compare(night, snapshot, candidate)
        _conclude(night, decision, candidate)
    return True


@contextmanager
def _ending(context: AppContext, claim: NightClaim) -> Iterator[None]:
    """End or release a night whose work is interrupted."""
    try:
        yield
    except LostClaimError:
        log.warning("night %d was taken over by another worker", claim.night_id)
    except CancelledError:
        _end(context, claim, Outcome.CANCELLED, "cancelled while running")
    except NotEnoughImagesError as error:
        _end(context, claim, Outcome.NOTHING, str(error))
    except (PipelineError, PromotionError) as error:
        log.error("night %d failed: %s", claim.night_id, error)
        _end(context, claim, Outcome.FAILED, str(error))
    except TookTooLongError:
        hours = context.settings.train_time_limit_s / 3600
        _end(context, claim, Outcome.FAILED, f"took longer than {hours:g} h")
    except StoppingError:
        with context.sessions.begin() as session:
            release_night(session, claim)
    except PASSING as error:  # tried again when the lease has lapsed
        log.warning("night %d was interrupted by %s", claim.night_id, type(error).__name__)
    except Exception:
        log.exception("night %d failed unexpectedly", claim.night_id)
        with context.sessions.begin() as session:
            release_night(session, claim, count_attempt=True)


def _end(context: AppContext, claim: NightClaim, outcome: Outcome, reason: str) -> None:
    with context.sessions.begin() as session:
        if finish_night(session, claim, outcome, reason):
            log.warning("night %d ended: %s: %s", claim.night_id, outcome.value, reason)


def _get_production(context: AppContext) -> ModelVersion:
    with context.sessions() as session:
        version = production_version(session)
    if version is None:
        raise CannotTrainError("no model version is in production, so there is nothing to compare")
    return version


def _measure_drift(night: ClaimedNight, production: ModelVersion) -> None:
    """Every night, whether or not a network is trained; once, since training changes the count."""
    if night.read().new_labels is not None:
        return
    night.begin("labels")
    drift = measure_drift(night.context, production, moment=now())
    with night.context.sessions() as session:
        new = new_label_count(session)
    night.save(drift=drift, new_labels=new)


def _take_snapshot(night: ClaimedNight) -> DatasetSnapshot:
    row, needed = night.read(), night.context.settings.night_min_labels
    if row.snapshot_id is not None:
        with night.context.sessions() as session:
            return session.get_one(DatasetSnapshot, row.snapshot_id)
    new = row.new_labels or 0
    if new < needed:
        labels = plural(new, "new label")
        raise NotEnoughImagesError(f"{labels} since the last training, {needed} are needed")
    night.begin("snapshot")
    snapshot = take_snapshot(night.context)
    night.save(snapshot_id=snapshot.id)
    return snapshot


def _train_candidate(
    night: ClaimedNight, snapshot: DatasetSnapshot, production: ModelVersion
) -> ModelVersion:
    night.begin("training")
    if importlib.util.find_spec("tensorflow") is None:
        raise CannotTrainError("TensorFlow is not installed; install it with: make setup-train")
    candidate = train_candidate(
        night.context,
        snapshot=snapshot,
        production=production,
        name=f"night-{night.claim.night_id}",
        progress=night.report,
    )
    night.save(candidate_id=candidate.id)
    return candidate


def _compare(night: ClaimedNight, snapshot: DatasetSnapshot, candidate: ModelVersion) -> Decision:
    """Compare with the version in production by now, not the one when the night started."""
    night.begin("evaluation")
    production, settings = _get_production(night.context), night.context.settings
    night.save(production_id=production.id)
    comparisons = compare_versions(
        night.context,
        snapshot_id=snapshot.id,
        candidate=candidate,
        production=production,
        progress=night.report,
    )
    gate = Gate(
        auroc_margin=settings.gate_auroc_margin,
        sensitivity_margin=settings.gate_sensitivity_margin,
        min_patients=settings.gate_min_patients,
    )
    is_refreshed = is_guard_of(candidate.card, snapshot.digest)
    return decide_promotion(comparisons, gate=gate, is_guard_refreshed=is_refreshed)


def _conclude(night: ClaimedNight, decision: Decision, candidate: ModelVersion) -> None:
    """Commit the decision together with what follows from it."""
    context, claim = night.context, night.claim
    compared_id = night.read().production_id
    with context.sessions.begin() as session:
        lock_history(session)
        outcome = _decide_outcome(session, decision, compared_id, context.settings.night_policy)
        update_night(session, claim, decision=decision.as_json(), share=1.0)
        if not finish_night(session, claim, outcome, decision.reason):
            raise LostClaimError
        if outcome is Outcome.PROMOTED:
            reason = f"night {claim.night_id}: {decision.reason}"
            check_servable(candidate, context.settings)
            promote(session, candidate, user_id=None, reason=reason)
            record(session, user_id=None, action="version.promoted", target=candidate.name)
    log.warning("night %d: %s", claim.night_id, decision.reason)


def _decide_outcome(
    session: Session, decision: Decision, compared_id: int | None, policy: str
) -> Outcome:
    if not decision.is_yes:
        return Outcome.REFUSED
    if policy == "propose":
        return Outcome.PROPOSED
    # If an admin has changed the production version since, an admin decides on this one, too.
    live = production_version(session)
    is_same = live is not None and live.id == compared_id
    return Outcome.PROMOTED if is_same else Outcome.PROPOSED
