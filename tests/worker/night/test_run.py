"""A night on real rows and files.

The candidate's folder exists already, as after a training whose worker died before registering
it; training itself is tested with the pipeline, a whole night in tests/end_to_end.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import update
from sqlalchemy.orm import joinedload

from models.context import AppContext
from models.learning.nights import claim_night, request_night
from models.tables.intake import ModelVersion
from models.tables.learning import LabelValue, Night, Outcome
from pipeline.phantom.drawing import draw_phantom
from tests.support.data.labelled import Archive
from tests.support.data.rows import live_version, with_settings
from tests.support.data.snapshots import FINDINGS
from tests.support.data.versions import make_version
from worker.night.claim import CancelledError, ClaimedNight, LostClaimError
from worker.night.resources import MemoryBoundError
from worker.night.run import run_night
from worker.night.snapshot import take_snapshot

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

PATIENTS = 60
NEEDED = {"night_min_labels": 10, "gate_min_patients": 2, "train_memory_mb": 100_000}


@pytest.fixture
def labelled(context: AppContext, production: ModelVersion) -> AppContext:
    archive = Archive(context)
    for number in range(PATIENTS):
        value = (LabelValue.NORMAL, LabelValue.PNEUMONIA)[number % 2]
        archive.site_image(value=value, patient=f"{number}", pixels=drawn(number))
    return context


@cache
def drawn(number: int) -> NDArray[np.uint8]:
    return draw_phantom(seed=number, finding=FINDINGS[number % 2], size=(224, 224))


def requested(context: AppContext, **settings: Any) -> tuple[AppContext, int]:
    """A requested night that needs few labels and patients, unless settings say otherwise."""
    with context.sessions.begin() as session:
        night = request_night(session, user_id=None)
    return with_settings(context, **NEEDED | settings), night.id


def finish_training(context: AppContext, night_id: int) -> str:
    """Write the candidate's folder: the shipped network again."""
    digest = take_snapshot(context).digest
    folder = context.settings.data_dir / "networks" / f"night-{night_id}"
    make_version(folder, snapshot={"digest": digest}, familiarity={"snapshot": digest})
    return digest


def read_night(context: AppContext, night_id: int) -> Night:
    with context.sessions() as session:
        joined = [joinedload(Night.snapshot), joinedload(Night.candidate)]
        return session.get_one(Night, night_id, options=joined)


def test_run_night_ends_with_too_few_labels_or_patients(labelled: AppContext) -> None:
    context, night_id = requested(labelled, night_min_labels=PATIENTS + 1)
    assert run_night(context)
    night = read_night(context, night_id)
    assert (night.outcome, night.new_labels, night.snapshot_id) == (Outcome.NOTHING, PATIENTS, None)
    assert night.reason == "60 new labels since the last training, 61 are needed"
    assert night.drift is not None, "drift is measured all the same"
    assert night.drift["degree"] is None
    assert not run_night(context), "no other night waits"

    context, night_id = requested(labelled)
    run_night(context)
    night = read_night(context, night_id)
    assert (night.outcome, night.candidate_id) == (Outcome.NOTHING, None)
    assert night.reason is not None
    assert "patients" in night.reason


def test_night_of_the_same_network_is_refused_and_its_labels_are_not_new(
    labelled: AppContext,
) -> None:
    context, night_id = requested(labelled, night_policy="automatic")
    digest = finish_training(context, night_id)
    with context.sessions.begin() as session:  # as counted before an interruption
        session.execute(update(Night).values(new_labels=42))
    run_night(context)
    night = read_night(context, night_id)
    assert night.outcome is Outcome.REFUSED
    assert night.new_labels == 42, "by now its own candidate was trained on them"
    assert night.snapshot is not None
    assert night.snapshot.digest == digest
    assert night.candidate is not None
    assert night.decision is not None
    compared = night.decision["comparisons"][0]
    assert compared["auroc"]["difference"]["value"] == 0.0
    with context.sessions() as session:
        live = live_version(session)
    assert live.id == night.production_id
    assert live.name != night.candidate.name

    context, second = requested(labelled)
    run_night(context)
    reason = read_night(context, second).reason
    assert reason == "0 new labels since the last training, 10 are needed"


def claimed(context: AppContext) -> ClaimedNight:
    with context.sessions.begin() as session:
        claim = claim_night(session, max_attempts=3)
    assert claim is not None
    return ClaimedNight(context, claim)


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"is_cancelled": True}, CancelledError), ({"leased_by": "another"}, LostClaimError)],
)
def test_check_raises_once_a_heartbeat_has_seen_the_reason(
    context: AppContext, change: dict[str, Any], expected: type[Exception]
) -> None:
    context, _ = requested(context)
    night = claimed(context)
    with context.sessions.begin() as session:
        session.execute(update(Night).values(change))
    night.check()
    night.beat()
    with pytest.raises(expected):
        night.check()


def test_check_raises_above_the_memory_limit(context: AppContext) -> None:
    context, _ = requested(context, train_memory_mb=1)
    night = claimed(context)
    night.beat()
    with pytest.raises(MemoryBoundError, match="OVERREAD_TRAIN_MEMORY_MB"):
        night.check()


def test_stopping_process_releases_its_night_without_counting_the_attempt(
    context: AppContext, production: ModelVersion
) -> None:
    context, night_id = requested(context)
    context.stopping.set()
    run_night(context)
    night = read_night(context, night_id)
    assert (night.outcome, night.attempts, night.leased_by) == (None, 0, None)
