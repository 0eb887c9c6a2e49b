"""Drift: which predictions count, in which window."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy import insert

from models.base import now
from models.context import AppContext
from models.reading.history import past_answers
from models.tables.intake import Image, ModelVersion, Prediction, State, Study
from tests.support.data.rows import a_hash, a_job, a_version
from tests.support.servers.databases import both_databases
from worker.night.drift import measure_drift

MOMENT = now()
ANSWER = {
    "logit": 0.0,
    "threshold": 0.5,
    "operating_point": "balanced",
    "warnings": [],
    "heatmap": b"",
    "heatmap_rows": 0,
    "heatmap_columns": 0,
    "heatmap_peak": 0.0,
    "engine": "a test",
    "created_at": MOMENT,  # all were read just now, as after a re-reading
}


def add_answers(
    context: AppContext, version: ModelVersion, count: int, *, age_days: float, shift: float = 0.0
) -> None:
    """Images that came so many days ago, of different patients, with their answers."""
    random = np.random.default_rng(int(age_days))
    probabilities = 1 / (1 + np.exp(-random.normal(shift, 2, count)))
    names = [f"{version.name} {age_days} {shift} {n}" for n in range(count)]
    came = MOMENT - timedelta(days=age_days)
    with context.sessions.begin() as session:
        job = a_job(session)
        studies = [{"study_hash": a_hash(name), "created_at": came} for name in names]
        session.execute(insert(Study), studies)
        images = [an_image(job.id, name, came) for name in names]
        session.execute(insert(Image), images)
        rows = [
            {
                **ANSWER,
                "sha256": a_hash(name),
                "model_version_id": version.id,
                "probability": float(probability),
                "finding": "normal",
                "unfamiliarity": float(unfamiliarity),
            }
            for name, probability, unfamiliarity in zip(
                names, probabilities, random.beta(2, 9, count), strict=True
            )
        ]
        session.execute(insert(Prediction), rows)


def an_image(job_id: str, name: str, came: datetime) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "file": f"{name} {came}.png",
        "sha256": a_hash(name),
        "size": 1,
        "state": State.PREDICTED,
        "attempts": 0,
        "created_at": came,
    }


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


def test_no_drift_sentence(context: AppContext) -> None:
    version = the_version(context)
    add_answers(context, version, 400, age_days=30)
    add_answers(context, version, 150, age_days=2)
    found = measure_drift(context, version, moment=MOMENT)
    assert found["degree"] == "none"
    assert found["words"].startswith("No drift: 150 images of the last 7 days")


def test_measure_drift_without_images(context: AppContext) -> None:
    found = measure_drift(context, the_version(context), moment=MOMENT)
    assert found["degree"] is None
    assert found["words"].startswith("Not enough images to measure drift")


@both_databases
def test_repeated_blob_counts_once(context: AppContext) -> None:
    version = the_version(context)
    add_answers(context, version, 3, age_days=30)
    add_answers(context, version, 2, age_days=1)
    with context.sessions.begin() as session:
        again = an_image(a_job(session).id, "v1 30 0.0 1", MOMENT - timedelta(hours=1))
        session.execute(insert(Image), [again])
    with context.sessions() as session:
        since, recent_since = MOMENT - timedelta(days=90), MOMENT - timedelta(days=7)
        past = partial(past_answers, session, version.id, since=since, recent_since=recent_since)
        (found, is_cut), (some, is_sample) = past(), past(sample=3)
    assert sorted(one.is_recent for one in found) == [False] * 3 + [True] * 2
    assert len({one.patient for one in found}) == 5
    assert (is_cut, is_sample) == (False, True)
    assert len(some) < 5
    assert set(some) < set(found)
