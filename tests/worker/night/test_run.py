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

from models.context import AppContext
from models.learning.labels import NewLabel, add_labels
from models.learning.nights import cancel_night, claim_night, get_night, request_night
from models.learning.promotion import production_version
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import ModelVersion, State
from models.tables.learning import LabelValue, Night, Outcome, Source
from models.tables.people import Role
from pipeline.phantom.drawing import draw_phantom
from pipeline.types import PREPROCESSING, Finding
from tests.support.data.rows import a_job, a_user, an_image
from tests.support.data.versions import make_version
from worker.night.claim import CancelledError, ClaimedNight, LostClaimError
from worker.night.resources import MemoryBoundError
from worker.night.run import run_night
from worker.night.snapshot import take_snapshot

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

PATIENTS = 60
NEEDED = {"night_min_labels": 10, "gate_min_patients": 2, "train_memory_mb": 100_000}


@pytest.fixture
def context(context: AppContext, production: ModelVersion) -> AppContext:
    with context.sessions.begin() as session:
        user_id, job = a_user(session).id, a_job(session)
        study = get_or_create_studies(session, [NewStudy("a study", folder="images")])["a study"]
        for number in range(PATIENTS):
            image = an_image(session, job, file=f"{number}.png", state=State.PREDICTED)
            image.stored_sha256, image.study_id = image.sha256, study
            _label(context, session, image.sha256, number=number, user_id=user_id)
    return context


@cache
def drawn(number: int) -> NDArray[np.uint8]:
    finding: Finding = "pneumonia" if number % 2 else "normal"
    return draw_phantom(seed=number, finding=finding, size=(224, 224))


def _label(context: AppContext, session: Any, sha256: str, *, number: int, user_id: int) -> None:
    value = (LabelValue.NORMAL, LabelValue.PNEUMONIA)[number % 2]
    context.store.put_network_input(sha256, PREPROCESSING, drawn(number))
    label = NewLabel(
        sha256=sha256,
        value=value,
        reader="rita",
        role=Role.READER,
        user_id=user_id,
        source=Source.CSV,
        patient_hash=f"{number:064}",
    )
    add_labels(session, [label])


def requested(context: AppContext, **settings: Any) -> tuple[AppContext, int]:
    """A requested night that needs few labels and patients, unless settings say otherwise."""
    changed = context.settings.model_copy(update=NEEDED | settings)
    with context.sessions.begin() as session:
        night = request_night(session, user_id=None)
    return AppContext(
        changed, context.sessions, context.store, context.secrets, context.stopping
    ), night.id


def finish_training(context: AppContext, night_id: int) -> str:
    """Write the candidate's folder: the shipped network again."""
    digest = take_snapshot(context).digest
    familiarity = {"snapshot": digest, "guard": "fitted"}
    folder = context.settings.data_dir / "networks" / f"night-{night_id}"
    make_version(folder, snapshot={"digest": digest}, familiarity=familiarity)
    return digest


def read_night(context: AppContext, night_id: int) -> Night:
    with context.sessions() as session:
        night = get_night(session, night_id)
        assert night is not None
        assert night.snapshot is None or night.snapshot.digest
        assert night.candidate is None or night.candidate.name
        return night


def test_run_night_without_a_night(context: AppContext) -> None:
    assert not run_night(context)


def test_run_night_ends_with_too_few_new_labels(context: AppContext) -> None:
    context, night_id = requested(context, night_min_labels=PATIENTS + 1)
    assert run_night(context)
    night = read_night(context, night_id)
    assert (night.outcome, night.new_labels, night.snapshot_id) == (Outcome.NOTHING, PATIENTS, None)
    assert night.reason == "60 new labels since the last training, 61 are needed"
    assert night.drift is not None, "drift is measured all the same"
    assert not run_night(context)


def test_run_night_ends_with_too_few_patients(context: AppContext) -> None:
    context, night_id = requested(context)
    run_night(context)
    night = read_night(context, night_id)
    assert (night.outcome, night.candidate_id) == (Outcome.NOTHING, None)
    assert night.reason is not None
    assert "patients" in night.reason


def test_run_night_refuses_the_same_network(context: AppContext) -> None:
    context, night_id = requested(context, night_policy="automatic")
    digest = finish_training(context, night_id)
    run_night(context)
    night = read_night(context, night_id)
    assert night.outcome is Outcome.REFUSED
    assert night.snapshot is not None
    assert night.snapshot.digest == digest
    assert night.candidate is not None
    assert night.decision is not None
    compared = night.decision["comparisons"][0]
    assert compared["auroc"]["difference"]["value"] == 0.0
    with context.sessions() as session:
        live = production_version(session)
    assert live is not None
    assert live.id == night.production_id
    assert live.name != night.candidate.name


def test_labels_of_the_last_training_are_not_new(context: AppContext) -> None:
    context, first = requested(context)
    finish_training(context, first)
    run_night(context)
    context, second = requested(context)
    run_night(context)
    reason = read_night(context, second).reason
    assert reason == "0 new labels since the last training, 10 are needed"


def test_continued_night_keeps_its_count_of_new_labels(context: AppContext) -> None:
    """Counted again there would be none, since its own candidate was trained on them."""
    context, night_id = requested(context)
    finish_training(context, night_id)
    with context.sessions.begin() as session:
        session.execute(update(Night).where(Night.id == night_id).values(new_labels=42))
    run_night(context)
    assert read_night(context, night_id).new_labels == 42


def claimed(context: AppContext) -> ClaimedNight:
    with context.sessions.begin() as session:
        claim = claim_night(session, lease_s=60, max_attempts=3)
    assert claim is not None
    return ClaimedNight(context, claim)


def test_check_raises_after_a_cancellation(context: AppContext) -> None:
    context, night_id = requested(context)
    night = claimed(context)
    with context.sessions.begin() as session:
        cancel_night(session, night_id)
    night.check()
    night.beat()
    with pytest.raises(CancelledError):
        night.check()


def test_check_raises_above_the_memory_limit(context: AppContext) -> None:
    context, _ = requested(context, train_memory_mb=1)
    night = claimed(context)
    night.beat()
    with pytest.raises(MemoryBoundError, match="OVERREAD_TRAIN_MEMORY_MB"):
        night.check()


def test_stopping_process_releases_its_night_without_counting_the_attempt(
    context: AppContext,
) -> None:
    context, night_id = requested(context)
    context.stopping.set()
    run_night(context)
    night = read_night(context, night_id)
    assert (night.outcome, night.attempts, night.leased_by) == (None, 0, None)


def test_check_raises_after_a_takeover(context: AppContext) -> None:
    context, _ = requested(context)
    night = claimed(context)
    with context.sessions.begin() as session:
        session.execute(update(Night).values(leased_by="another"))
    night.beat()
    with pytest.raises(LostClaimError):
        night.check()
