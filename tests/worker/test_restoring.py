"""A network input that got lost is made again from the picture, and answers as before."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from models.context import AppContext
from models.learning.promotion import install_baseline
from models.tables.intake import Image, Prediction, State
from pipeline.errors import RefusalCode
from pipeline.prepare.pool import DecoderPool
from pipeline.types import PREPROCESSING
from tests.support.data.rows import a_job, all_images
from tests.support.data.uploads import a_dicom, a_png, files_in, upload
from worker.ingest import ingest_chunk
from worker.predict import LivePredictor, predict_chunk


@pytest.fixture
def ready(context: AppContext, pool: DecoderPool, tmp_path: Path) -> list[Image]:
    """A picture and a DICOM, read; the network has not seen them."""
    with context.sessions.begin() as session:
        install_baseline(session, data_dir=context.settings.data_dir)
        job = a_job(session)
    upload(context, job, {"a/1.png": a_png(), "a/2.dcm": a_dicom(tmp_path)})
    return work(context, pool)


def work(context: AppContext, pool: DecoderPool) -> list[Image]:
    while ingest_chunk(context, pool):
        pass
    return images(context)


def images(context: AppContext) -> list[Image]:
    with context.sessions() as session:
        return all_images(session)


def input_of(context: AppContext, image: Image) -> Path:
    return context.store.root / "inputs" / PREPROCESSING / image.sha256[:2] / image.sha256


def test_lost_network_input_is_made_again_from_the_stored_file(
    context: AppContext, pool: DecoderPool, ready: list[Image]
) -> None:
    before = [context.store.network_input(image.sha256, PREPROCESSING) for image in ready]
    pictures = files_in(context.store, "stored")
    for image in ready:
        input_of(context, image).unlink()
    live = LivePredictor()

    predict_chunk(context, live)
    assert [image.state for image in images(context)] == [State.RECEIVED] * 2
    again = work(context, pool)
    predict_chunk(context, live)

    assert [image.state for image in images(context)] == [State.PREDICTED] * 2
    assert [image.study_id for image in again] == [image.study_id for image in ready]
    assert files_in(context.store, "stored") == pictures
    for image, expected in zip(ready, before, strict=True):
        restored = context.store.network_input(image.sha256, PREPROCESSING)
        np.testing.assert_array_equal(restored, expected)
    with context.sessions() as session:
        assert len(list(session.scalars(select(Prediction)))) == 2


def test_lost_network_input_fails_without_the_stored_file(
    context: AppContext, ready: list[Image]
) -> None:
    gone, _ = ready
    input_of(context, gone).unlink()
    context.store.delete(gone.stored_sha256 or "", area="stored")

    predict_chunk(context, LivePredictor())

    failed, predicted = images(context)
    assert (failed.state, predicted.state) == (State.FAILED, State.PREDICTED)
    assert failed.reason == "the network input is no longer in the file store"
    assert failed.reason_code == RefusalCode.BYTES_MISSING
