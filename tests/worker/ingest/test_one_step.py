"""received -> predicted in the step that has read the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import delete, select, update

from models.context import AppContext
from models.intake.jobs import cancel_job, cancel_some
from models.tables.intake import Image, Job, ModelVersion, Prediction, State
from pipeline.inference.predictor import Predictor
from pipeline.prepare.pool import DecoderPool
from pipeline.types import Prediction as PipelinePrediction
from tests.support.data.rows import images_in
from tests.support.data.uploads import a_dicom, a_png, files_in, upload
from tests.support.data.versions import APART
from tests.support.servers.databases import both_databases
from tests.worker.conftest import ingest_all
from tests.worker.test_predict import put_live
from worker.ingest.chunk import ingest_chunk
from worker.predict import LivePredictor, predict_chunk


@pytest.fixture
def live() -> LivePredictor:
    return LivePredictor()


def predictions(context: AppContext) -> dict[str, Prediction]:
    with context.sessions() as session:
        found = list(session.scalars(select(Prediction)))
    assert len(found) == len({one.sha256 for one in found})
    return {one.sha256: one for one in found}


@both_databases
def test_ingest_predicts_what_it_has_read(
    context: AppContext, pool: DecoderPool, live: LivePredictor, job: Job, production: ModelVersion
) -> None:
    upload(context, job, {"a/1.png": a_png(seed=1), "a/same.png": a_png(seed=1), "a/2.txt": b"2"})
    assert ingest_chunk(context, pool, live)
    first, same, refused = images_in(context)
    assert (first.state, same.state, refused.state) == (
        State.PREDICTED,
        State.PREDICTED,
        State.REJECTED,
    )
    assert (first.attempts, first.leased_by, first.leased_until) == (0, None, None)
    assert first.finished_at is not None
    assert first.study_id is not None
    assert files_in(context.store, "incoming") == []
    assert len(files_in(context.store, "inputs")) == 1
    (made,) = predictions(context).values()
    assert (made.sha256, made.model_version_id) == (first.sha256, production.id)
    assert not predict_chunk(context, live)


def test_one_step_gives_the_predictions_of_two(
    context: AppContext, pool: DecoderPool, live: LivePredictor, job: Job, production: ModelVersion
) -> None:
    upload(context, job, {f"a/{n}.png": a_png(seed=n) for n in range(3)})
    ingest_chunk(context, pool, live)
    in_one = predictions(context)
    with context.sessions.begin() as session:
        session.execute(delete(Prediction))
        session.execute(update(Image).values(state=State.READY))
    assert predict_chunk(context, live)
    in_two = predictions(context)
    assert in_one.keys() == in_two.keys()
    for sha256, one in in_one.items():
        two = in_two[sha256]
        assert (one.logit, one.heatmap, one.engine) == (two.logit, two.heatmap, two.engine)


def test_both_ways_choose_the_population_by_the_stated_age(
    context: AppContext, pool: DecoderPool, live: LivePredictor, job: Job, tmp_path: Path
) -> None:
    put_live(context, "apart", **APART)
    ages = {"a/child.dcm": "017Y", "a/adult.dcm": "018Y", "a/unknown.dcm": ""}
    films = {file: a_dicom(tmp_path, PatientAge=age) for file, age in ages.items()}
    images = upload(context, job, films)
    ingest_chunk(context, pool, live)
    in_one = predictions(context)
    with context.sessions.begin() as session:
        session.execute(delete(Prediction))
        session.execute(update(Image).values(state=State.READY))
    predict_chunk(context, live)
    for found in (in_one, predictions(context)):
        child, adult, unknown = (found[image.sha256] for image in images)
        assert [one.population for one in (child, adult, unknown)] == [
            "children",
            "adults",
            "children",
        ]
        assert (child.threshold, adult.threshold) == (0.54, 0.7)
        assert adult.probability > child.probability, "the same pixels, at another offset"
        assert "no age is stated: read as a child's" in unknown.warnings
        assert child.warnings == adult.warnings


def test_ingest_leaves_predicting_to_predict_without_a_version(
    context: AppContext, pool: DecoderPool, live: LivePredictor, job: Job
) -> None:
    upload(context, job, {"a/1.png": a_png()})
    assert ingest_chunk(context, pool, live)
    (image,) = images_in(context)
    assert (image.state, image.attempts, image.leased_by) == (State.READY, 0, None)


class FailingPredictor(LivePredictor):
    def open(self, version: ModelVersion, context: AppContext) -> Predictor:
        def fail(*_: object, **__: object) -> list[PipelinePrediction]:
            raise RuntimeError("the engine fails")

        predictor = super().open(version, context)
        object.__setattr__(predictor, "predict", fail)
        return predictor


def test_ingest_leaves_predicting_to_predict_after_a_failure(
    context: AppContext, pool: DecoderPool, live: LivePredictor, job: Job, production: ModelVersion
) -> None:
    upload(context, job, {"a/1.png": a_png()})
    assert ingest_chunk(context, pool, FailingPredictor())
    (image,) = images_in(context)
    assert (image.state, image.attempts, image.leased_by) == (State.READY, 0, None)
    assert predict_chunk(context, live)
    assert images_in(context)[0].state == State.PREDICTED


class CancellingPredictor(LivePredictor):
    """The job is cancelled when its images are predicted."""

    def __init__(self, context: AppContext, job: Job) -> None:
        super().__init__()
        self._context, self._job = context, job

    def open(self, version: ModelVersion, context: AppContext) -> Predictor:
        predictor = super().open(version, context)
        predict = predictor.predict

        def cancel_and_predict(
            inputs: NDArray[np.uint8], **stated: Any
        ) -> list[PipelinePrediction]:
            with self._context.sessions.begin() as session:
                cancel_job(session, self._job.id)
                cancel_some(session, self._job.id)
            return predict(inputs, **stated)

        object.__setattr__(predictor, "predict", cancel_and_predict)
        return predictor


@both_databases
def test_ingest_records_no_prediction_of_a_job_cancelled_in_between(
    context: AppContext, pool: DecoderPool, job: Job, other: Job, production: ModelVersion
) -> None:
    upload(context, job, {"a/1.png": a_png(seed=1), "a/2.png": a_png(seed=2)})
    upload(context, other, {"z/1.png": a_png(seed=1)})
    ingest_chunk(context, pool, CancellingPredictor(context, job))
    one, two, shared = images_in(context)
    assert (one.state, two.state, shared.state) == (
        State.CANCELLED,
        State.CANCELLED,
        State.PREDICTED,
    )
    assert predictions(context).keys() == {shared.sha256}
    assert len(files_in(context.store, "inputs")) == len(files_in(context.store, "stored")) == 1


def test_ingest_leaves_known_bytes_without_prediction_to_predict(
    context: AppContext, pool: DecoderPool, live: LivePredictor, job: Job, production: ModelVersion
) -> None:
    upload(context, job, {"a/1.png": a_png()})
    ingest_all(context, pool)
    upload(context, job, {"a/again.png": a_png()})
    ingest_chunk(context, pool, live)
    assert {image.state for image in images_in(context)} == {State.READY}
    assert predict_chunk(context, live)
    assert {image.state for image in images_in(context)} == {State.PREDICTED}
