"""Lost network inputs are made again from the stored file."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from models.context import AppContext
from models.tables.intake import Image, ModelVersion, Prediction, State
from pipeline.errors import RefusalCode
from pipeline.types import PREPROCESSING
from tests.support.data.rows import images_in
from tests.support.data.uploads import a_dicom, a_png, files_in
from tests.worker.conftest import Ingest
from worker.predict import LivePredictor, predict_chunk


@pytest.fixture
def ready(ingest: Ingest, production: ModelVersion, tmp_path: Path) -> list[Image]:
    """A PNG and a DICOM file, read but not predicted."""
    return ingest({"a/1.png": a_png(), "a/2.dcm": a_dicom(tmp_path)})


def input_of(context: AppContext, image: Image) -> Path:
    return context.store.root / "inputs" / PREPROCESSING / image.sha256[:2] / image.sha256


def test_lost_network_input_is_made_again_from_the_stored_file(
    context: AppContext, ingest: Ingest, ready: list[Image]
) -> None:
    before = [context.store.network_input(image.sha256, PREPROCESSING) for image in ready]
    stored = files_in(context.store, "stored")
    for image in ready:
        input_of(context, image).unlink()
    live = LivePredictor()

    predict_chunk(context, live)
    assert [image.state for image in images_in(context)] == [State.RECEIVED] * 2
    again = ingest({})
    predict_chunk(context, live)

    assert [image.state for image in images_in(context)] == [State.PREDICTED] * 2
    assert [image.study_id for image in again] == [image.study_id for image in ready]
    assert files_in(context.store, "stored") == stored
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

    failed, predicted = images_in(context)
    assert (failed.state, predicted.state) == (State.FAILED, State.PREDICTED)
    assert failed.reason == "the network input is no longer in the file store"
    assert failed.reason_code == RefusalCode.BYTES_MISSING
