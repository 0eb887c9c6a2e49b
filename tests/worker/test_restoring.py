"""A network input that got lost is made again from the picture, and answers as before."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from models.learning.versions import install_baseline
from models.tables.intake import Image, Prediction, State
from pipeline.decode.network_input import PREPROCESSING
from pipeline.decode.pool import DecoderPool
from tests.support.data.rows import a_job, all_images
from tests.support.data.uploads import a_dicom, a_png, files_in, upload
from worker.context import Doors
from worker.ingest import ingest_chunk
from worker.predict import LivePredictor, predict_chunk


@pytest.fixture
def ready(doors: Doors, pool: DecoderPool, tmp_path: Path) -> list[Image]:
    """A picture and a DICOM, read; the network has not seen them."""
    with doors.sessions.begin() as session:
        install_baseline(session, data_dir=doors.settings.data_dir)
        job = a_job(session)
    upload(doors, job, {"a/1.png": a_png(), "a/2.dcm": a_dicom(tmp_path)})
    return work(doors, pool)


def work(doors: Doors, pool: DecoderPool) -> list[Image]:
    while ingest_chunk(doors, pool):
        pass
    return images(doors)


def images(doors: Doors) -> list[Image]:
    with doors.sessions() as session:
        return all_images(session)


def input_of(doors: Doors, image: Image) -> Path:
    return doors.store.root / "inputs" / PREPROCESSING / image.sha256[:2] / image.sha256


def test_it_is_made_again_from_the_picture(
    doors: Doors, pool: DecoderPool, ready: list[Image]
) -> None:
    before = [doors.store.network_input(image.sha256, PREPROCESSING) for image in ready]
    pictures = files_in(doors.store, "stored")
    for image in ready:
        input_of(doors, image).unlink()
    live = LivePredictor()

    predict_chunk(doors, live)
    assert [image.state for image in images(doors)] == [State.RECEIVED] * 2
    again = work(doors, pool)
    predict_chunk(doors, live)

    assert [image.state for image in images(doors)] == [State.PREDICTED] * 2
    assert [image.study_id for image in again] == [image.study_id for image in ready]
    assert files_in(doors.store, "stored") == pictures
    for image, expected in zip(ready, before, strict=True):
        restored = doors.store.network_input(image.sha256, PREPROCESSING)
        np.testing.assert_array_equal(restored, expected)
    with doors.sessions() as session:
        assert len(list(session.scalars(select(Prediction)))) == 2


def test_without_the_picture_it_fails_with_a_plain_reason(doors: Doors, ready: list[Image]) -> None:
    gone, _ = ready
    input_of(doors, gone).unlink()
    doors.store.delete(gone.stored_sha256 or "", area="stored")

    predict_chunk(doors, LivePredictor())

    failed, predicted = images(doors)
    assert (failed.state, predicted.state) == (State.FAILED, State.PREDICTED)
    assert failed.reason == "what the network should have read is no longer in the file store"
