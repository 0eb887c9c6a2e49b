"""Drift: which predictions count, in which window."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np

from models.base import now
from models.context import AppContext
from models.reading.history import past_answers
from models.reading.predictions import add_predictions
from models.tables.intake import ModelVersion, State
from tests.support.data.rows import a_hash, a_prediction, a_version, some_images
from tests.support.servers.databases import both_databases
from worker.night.drift import measure_drift

MOMENT = now()


def add_answers(
    context: AppContext, version: ModelVersion, count: int, *, age_days: float, shift: float = 0.0
) -> list[str]:
    """Images that came so many days ago, all of different patients, and were read just now, as by
    a re-reading. Return their SHA-256s.
    """
    random = np.random.default_rng(int(age_days))
    probabilities = 1 / (1 + np.exp(-random.normal(shift, 2, count)))
    answers = {
        a_hash(f"{version.name} {age_days} {number}"): replace(
            a_prediction(probability=probability), unfamiliarity=unfamiliarity
        )
        for number, (probability, unfamiliarity) in enumerate(
            zip(probabilities, random.beta(2, 9, count), strict=True)
        )
    }
    with context.sessions.begin() as session:
        images = some_images(session, count, state=State.PREDICTED)
        for image, sha256 in zip(images, answers, strict=True):
            image.sha256, image.created_at = sha256, MOMENT - timedelta(days=age_days)
        add_predictions(session, answers, model_version_id=version.id, engine="a test")
    return list(answers)


def the_version(context: AppContext, name: str = "v1") -> ModelVersion:
    with context.sessions.begin() as session:
        return a_version(session, name=name)


def test_measure_drift_describes_a_shift(context: AppContext) -> None:
    version, other = the_version(context), the_version(context, "v2")
    add_answers(context, version, 400, age_days=30)
    add_answers(context, version, 150, age_days=2, shift=3)
    add_answers(context, version, 150, age_days=200, shift=3)  # too long ago to count
    add_answers(context, other, 150, age_days=31, shift=3)
    found = measure_drift(context, version, moment=MOMENT)
    assert (found["recent"]["images"], found["reference"]["images"]) == (150, 400)
    assert (found["degree"], found["unfamiliarity"]["degree"]) == ("much", "none")
    assert found["words"].startswith("Strong drift: scores differ from the reference period")
    assert "Label some of them" in found["words"]
    assert found["model_version"] == "v1"


@both_databases
def test_repeated_blob_counts_once(context: AppContext) -> None:
    version = the_version(context)
    old = add_answers(context, version, 3, age_days=30)
    add_answers(context, version, 2, age_days=1)
    with context.sessions.begin() as session:
        (again,) = some_images(session, 1, state=State.PREDICTED)
        again.sha256, again.created_at = old[1], MOMENT - timedelta(hours=1)
    with context.sessions() as session:
        since, recent_since = MOMENT - timedelta(days=90), MOMENT - timedelta(days=7)
        past = partial(past_answers, session, version.id, since=since, recent_since=recent_since)
        (found, is_cut), (some, is_sample) = past(), past(sample=3)
    assert sorted(one.is_recent for one in found) == [False] * 3 + [True] * 2
    assert len({one.patient for one in found}) == 5
    assert (is_cut, is_sample) == (False, True)
    assert len(some) < 5
    assert set(some) < set(found)
