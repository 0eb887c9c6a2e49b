"""ready -> predicted, by the network that ships with the project."""

import numpy as np
import pytest
from sqlalchemy import select

from models.predictions import get_prediction, read_heatmap
from models.tables import Image, ModelVersion, Prediction, State
from models.versions import install_baseline, set_production
from pipeline.network_input import PREPROCESSING
from pipeline.predictor import Predictor
from tests.databases import Database
from tests.rows import a_job, all_images, an_image
from worker.doors import Doors
from worker.predict import LivePredictor, predict_chunk


@pytest.fixture
def live(doors: Doors, database: Database) -> LivePredictor:
    with database.sessions.begin() as session:
        install_baseline(session, data_dir=database.settings.data_dir)
    return LivePredictor()


def add_ready(doors: Doors, count: int, *, first: int = 0) -> list[Image]:
    with doors.sessions.begin() as session:
        job = a_job(session)
        images = [
            an_image(session, job, content=str(n), state=State.READY)
            for n in range(first, first + count)
        ]
    for number, image in enumerate(images, start=first):
        noise = np.random.default_rng(number).integers(0, 256, (224, 224), np.uint8)
        doors.store.put_network_input(image.sha256, PREPROCESSING, noise)
    return images


def predict_all(doors: Doors, live: LivePredictor) -> list[Image]:
    while predict_chunk(doors, live):
        pass
    with doors.sessions() as session:
        return all_images(session)


def predictions(doors: Doors) -> list[Prediction]:
    with doors.sessions() as session:
        return list(session.scalars(select(Prediction).order_by(Prediction.id)))


def test_what_is_stored_is_what_the_network_said(doors: Doors, live: LivePredictor) -> None:
    (image,) = add_ready(doors, 1)
    predict_all(doors, live)
    network_input = doors.store.network_input(image.sha256, PREPROCESSING)
    predictor = Predictor.open()
    (expected,) = predictor.predict(network_input[None])
    with doors.sessions() as session:
        stored = get_prediction(session, session.get_one(Image, image.id))
    assert stored is not None
    assert stored.probability == pytest.approx(expected.probability, abs=1e-6)
    assert (stored.threshold, stored.finding) == (expected.threshold, expected.finding)
    assert stored.engine == predictor.engine.name
    heatmap = read_heatmap(stored) * stored.heatmap_peak
    np.testing.assert_allclose(heatmap, expected.heatmap, atol=1e-3 * stored.heatmap_peak)


def test_a_job_of_several_chunks_ends(doors: Doors, live: LivePredictor) -> None:
    add_ready(doors, 2 * doors.settings.chunk_size + 3)
    assert {image.state for image in predict_all(doors, live)} == {State.PREDICTED}
    assert len(predictions(doors)) == 2 * doors.settings.chunk_size + 3


def test_the_same_bytes_are_predicted_once(doors: Doors, live: LivePredictor) -> None:
    add_ready(doors, 3)
    add_ready(doors, 3)
    predict_all(doors, live)
    add_ready(doors, 3)
    assert [image.state for image in predict_all(doors, live)] == [State.PREDICTED] * 9
    assert len(predictions(doors)) == 3


def test_a_missing_input_fails_alone_with_a_plain_reason(doors: Doors, live: LivePredictor) -> None:
    images = add_ready(doors, 3)
    next(doors.store.root.glob(f"inputs/*/*/{images[1].sha256}")).unlink()
    first, second, third = predict_all(doors, live)
    assert (first.state, third.state) == (State.PREDICTED, State.PREDICTED)
    assert second.state == State.FAILED
    assert second.reason == "what the network should have read is no longer in the file store"


def test_the_next_chunk_is_read_by_the_version_that_went_live(
    doors: Doors, live: LivePredictor
) -> None:
    add_ready(doors, 1)
    predict_all(doors, live)
    with doors.sessions.begin() as session:
        other = ModelVersion(name="other", folder=None, card={})  # the same network again
        session.add(other)
        session.flush()
        set_production(session, other, reason="for a test")
    add_ready(doors, 1, first=1)
    predict_all(doors, live)
    assert [one.model_version_id for one in predictions(doors)] == [1, 2]


def test_a_version_that_cannot_be_opened_blames_no_image(doors: Doors, live: LivePredictor) -> None:
    add_ready(doors, 1)
    with doors.sessions.begin() as session:
        broken = ModelVersion(name="broken", folder="networks/none", card={})
        session.add(broken)
        session.flush()
        set_production(session, broken, reason="for a test")
    for _ in range(5):
        with pytest.raises(Exception, match="networks/none"):
            predict_chunk(doors, live)
    with doors.sessions() as session:
        (image,) = all_images(session)
    assert (image.state, image.attempts) == (State.READY, 0)
