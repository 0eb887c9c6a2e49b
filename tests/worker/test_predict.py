"""ready -> predicted, by the network that ships with the project."""

import errno
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

from models.context import AppContext
from models.files.damage import Damage, list_damage
from models.files.presence import StoreAwayError, make_store, mark_store
from models.files.store import FileStore
from models.learning.promotion import set_production
from models.learning.versions import register_version
from models.reading.predictions import get_prediction, read_heatmap
from models.reading.studies import NewStudy, get_or_create_studies, list_studies
from models.tables.intake import Image, ModelVersion, Prediction, State
from models.worklist.order import Listing
from models.worklist.summaries import find_stale
from pipeline.errors import NetworkFolderError, RefusalCode
from pipeline.inference.predictor import Predictor
from pipeline.types import PREPROCESSING
from pipeline.types import Prediction as PipelinePrediction
from tests.support.data.counts import check_counts
from tests.support.data.rows import a_job, a_version, an_image, images_in, with_settings
from tests.support.data.uploads import a_dicom, a_png, files_in, put_inputs
from tests.support.data.versions import make_version
from tests.support.servers.databases import both_databases
from tests.worker.conftest import Ingest
from worker.chunks import VersionError
from worker.predict import LivePredictor, predict_chunk


@pytest.fixture
def live(production: ModelVersion) -> LivePredictor:
    return LivePredictor()


def add_ready(context: AppContext, count: int, *, first: int = 0) -> list[Image]:
    with context.sessions.begin() as session:
        job = a_job(session)
        images = [
            an_image(session, job, content=str(n), state=State.READY)
            for n in range(first, first + count)
        ]
    put_inputs(context, images)
    return images


def predict_all(context: AppContext, live: LivePredictor) -> list[Image]:
    while predict_chunk(context, live):
        pass
    return images_in(context)


def predictions(context: AppContext) -> list[Prediction]:
    with context.sessions() as session:
        return list(session.scalars(select(Prediction).order_by(Prediction.id)))


@both_databases
def test_work_list_follows_what_workers_record(
    context: AppContext, ingest: Ingest, live: LivePredictor
) -> None:
    ingest({"a/1.png": a_png(seed=1), "a/2.png": a_png(seed=2), "b/1.png": a_png(seed=3)})
    with context.sessions() as session:
        page = list_studies(session, Listing(order="label"), operating_point="balanced")
        assert [(study.label, study.images, study.predicted) for study in page.items] == [
            ("b", 1, 0),
            ("a", 2, 0),
        ]
        assert page.total == 2
    predict_all(context, live)
    with context.sessions() as session:
        page = list_studies(session, Listing(), operating_point="balanced")
        assert {study.label: study.predicted for study in page.items} == {"a": 2, "b": 1}
        assert find_stale(session, [study.id for study in page.items]) == set()
        check_counts(session)


def test_study_of_bytes_that_were_predicted_before_is_summarised(
    context: AppContext, live: LivePredictor
) -> None:
    (image,) = add_ready(context, 1)
    predict_all(context, live)
    with context.sessions.begin() as session:
        twin = an_image(session, a_job(session), content="0", state=State.READY)
        assert twin.sha256 == image.sha256
        studies = get_or_create_studies(session, [NewStudy("a study")])
        twin.study_id = studies["a study"]
        session.flush()
        assert find_stale(session, list(studies.values())) == set(studies.values())
    predict_all(context, live)
    with context.sessions() as session:
        assert find_stale(session, list(studies.values())) == set()


def test_predict_records_the_networks_results(context: AppContext, live: LivePredictor) -> None:
    (image,) = add_ready(context, 1)
    predict_all(context, live)
    network_input = context.store.network_input(image.sha256, PREPROCESSING)
    predictor = Predictor.open()
    (expected,) = predictor.predict(network_input[None])
    with context.sessions() as session:
        row = session.get_one(Image, image.id)
        stored = get_prediction(session, row, operating_point="balanced")
    assert stored is not None
    assert stored.probability == pytest.approx(expected.probability, abs=1e-6)
    assert (stored.threshold, stored.finding) == (expected.threshold, expected.finding)
    assert stored.engine == predictor.engine.name
    assert (stored.operating_point, stored.temperature) == ("balanced", predictor.card.temperature)
    trust = (stored.heatmap_peak, stored.heatmap_concentration, stored.heatmap_inside_body)
    assert trust == pytest.approx(tuple(vars(expected.heatmap_trust).values()), abs=1e-6)
    np.testing.assert_allclose(
        read_heatmap(stored), expected.heatmap, atol=1e-3 * stored.heatmap_peak
    )


def test_predict_gives_each_image_of_a_chunk_its_own_answer(
    context: AppContext, live: LivePredictor
) -> None:
    images = add_ready(context, 5)
    predict_all(context, live)
    predictor = Predictor.open()
    inputs = [context.store.network_input(image.sha256, PREPROCESSING) for image in images]
    expected = {
        image.sha256: predictor.predict(network_input[None])[0].logit
        for image, network_input in zip(images, inputs, strict=True)
    }
    found = {one.sha256: one.logit for one in predictions(context)}
    assert found == pytest.approx(expected, abs=1e-4)
    assert len({round(logit, 3) for logit in expected.values()}) == 5, "they can be told apart"


@both_databases
def test_predict_finishes_a_job_of_several_chunks(context: AppContext, live: LivePredictor) -> None:
    add_ready(context, 2 * context.settings.chunk_size + 3)
    assert {image.state for image in predict_all(context, live)} == {State.PREDICTED}
    assert len(predictions(context)) == 2 * context.settings.chunk_size + 3


def test_predict_predicts_equal_bytes_once(context: AppContext, live: LivePredictor) -> None:
    add_ready(context, 3)
    add_ready(context, 3)
    predict_all(context, live)
    add_ready(context, 3)
    assert [image.state for image in predict_all(context, live)] == [State.PREDICTED] * 9
    assert len(predictions(context)) == 3


def test_predict_discards_an_unreadable_input(context: AppContext, live: LivePredictor) -> None:
    images = add_ready(context, 4)
    paths = [path for image in images for path in context.store.paths("inputs", image.sha256)]
    paths[0].write_bytes(paths[0].read_bytes()[:4096])
    paths[1].unlink()
    paths[1].symlink_to(paths[1])  # reading it is an error of the operating system's
    states = [image.state for image in predict_all(context, live)]
    assert states == [State.FAILED, State.FAILED, State.PREDICTED, State.PREDICTED]
    assert not any(path.is_symlink() or path.exists() for path in paths[:2])
    assert images_in(context)[0].reason_code == RefusalCode.BYTES_DAMAGED


def test_predict_blames_no_input_for_a_passing_error_of_reading(
    context: AppContext, live: LivePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_ready(context, 2)

    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "network_input", fail)
        with pytest.raises(OSError, match="Too many open files"):
            predict_chunk(context, live)
    assert [image.state for image in predict_all(context, live)] == [State.PREDICTED] * 2


def test_predict_has_a_wrong_but_readable_input_made_again(
    context: AppContext, ingest: Ingest, live: LivePredictor
) -> None:
    """Swapped between two images, and with pixels of its own changed: the answers are the same."""
    images = ingest({f"a/{n}.png": a_png(seed=n) for n in range(3)})
    inputs = [context.store.network_input(image.sha256, PREPROCESSING) for image in images]
    paths = [path for image in images for path in context.store.paths("inputs", image.sha256)]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, [contents[1], contents[0], bytes(50_000)], strict=True):
        path.write_bytes(content + contents[2][50_000:] if len(content) == 50_000 else content)
    predict_chunk(context, live)
    assert [image.state for image in images_in(context)] == [State.RECEIVED] * 3
    assert predictions(context) == []
    with context.sessions() as session:
        assert set(list_damage(session)) == {Damage("inputs", image.sha256) for image in images}
    ingest({})
    assert [image.state for image in predict_all(context, live)] == [State.PREDICTED] * 3
    for image, before in zip(images, inputs, strict=True):
        after = context.store.network_input(image.sha256, PREPROCESSING)
        np.testing.assert_array_equal(after, before)


def test_predict_fails_only_the_faulty_image_of_a_chunk(
    context: AppContext, live: LivePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = Predictor.predict
    images = add_ready(context, 3)
    faulty = context.store.network_input(images[1].sha256, PREPROCESSING)

    def fail(
        predictor: Predictor, inputs: NDArray[np.uint8], **stated: Any
    ) -> list[PipelinePrediction]:
        assert not (inputs == faulty).all(axis=(1, 2)).any()
        return predict(predictor, inputs, **stated)

    monkeypatch.setattr(Predictor, "predict", fail)
    found = [(image.state, image.reason_code) for image in predict_all(context, live)]
    predicted = (State.PREDICTED, None)
    assert found == [predicted, (State.FAILED, RefusalCode.UNEXPECTED), predicted]


def test_predict_sends_lost_inputs_back_to_ingest_where_a_file_is_stored(
    context: AppContext, ingest: Ingest, live: LivePredictor, tmp_path: Path
) -> None:
    images = ingest({"a/1.png": a_png(), "a/2.dcm": a_dicom(tmp_path), "a/3.png": a_png(seed=3)})
    before = [context.store.network_input(image.sha256, PREPROCESSING) for image in images]
    for image in images:
        context.store.discard_network_input(image.sha256, PREPROCESSING)
    context.store.delete(images[2].stored_sha256 or "", area="stored")
    stored = files_in(context.store, "stored")
    predict_chunk(context, live)
    *_, gone = waiting = images_in(context)
    assert [image.state for image in waiting] == [State.RECEIVED, State.RECEIVED, State.FAILED]
    assert gone.reason == "the network input is no longer in the file store"
    assert gone.reason_code == RefusalCode.BYTES_MISSING

    again = ingest({})
    states = [image.state for image in predict_all(context, live)]
    assert states == [State.PREDICTED, State.PREDICTED, State.FAILED]
    assert [image.study_id for image in again] == [image.study_id for image in images]
    assert files_in(context.store, "stored") == stored
    restored = [context.store.network_input(one.sha256, PREPROCESSING) for one in images[:2]]
    np.testing.assert_array_equal(restored, before[:2])
    assert len(predictions(context)) == 2


def test_predict_uses_the_promoted_version_for_the_next_chunk(
    context: AppContext, live: LivePredictor
) -> None:
    add_ready(context, 1)
    predict_all(context, live)
    with context.sessions.begin() as session:
        a_version(session, name="other")  # the same network
    add_ready(context, 1, first=1)
    predict_all(context, live)
    assert [one.model_version_id for one in predictions(context)] == [1, 2]


def put_live(context: AppContext, name: str, **card: Any) -> None:
    folder = make_version(context.settings.data_dir / "networks" / name, **card)
    with context.sessions.begin() as session:
        version = register_version(session, folder=folder, data_dir=context.settings.data_dir)
        set_production(session, version, reason="for a test")


def test_predict_applies_the_operating_point(context: AppContext) -> None:
    put_live(context, "two-points", points={"balanced": 1.0, "sensitive": 0.0})
    for point in ("balanced", "sensitive", "balanced", "sensitive"):
        add_ready(context, 1)
        images = predict_all(with_settings(context, operating_point=point), LivePredictor())
        assert {image.state for image in images} == {State.PREDICTED}
    found = [(one.operating_point, one.threshold, one.probability) for one in predictions(context)]
    probability = found[0][2]
    assert found == [("balanced", 1.0, probability), ("sensitive", 0.0, probability)]


def test_predict_waits_for_an_operating_point_that_the_version_has(context: AppContext) -> None:
    put_live(context, "one-point", points={"balanced": 0.5})
    add_ready(context, 2)
    live, sensitive = LivePredictor(), with_settings(context, operating_point="sensitive")
    message = "one-point has no operating point sensitive, only balanced"
    with pytest.raises(VersionError, match=message):
        predict_chunk(sensitive, live)
    assert waiting(context) == [(State.READY, 0)] * 2

    put_live(context, "two-points")
    images = predict_all(sensitive, live)
    assert [image.state for image in images] == [State.PREDICTED] * 2


def waiting(context: AppContext) -> list[tuple[State, int]]:
    return [(image.state, image.attempts) for image in images_in(context)]


CAUSES = (
    NetworkFolderError("network.bin is damaged: its checksum differs"),
    PermissionError(13, "Permission denied"),
    RuntimeError("Could not determine home directory"),
    MemoryError(),
    ImportError("libtbb.so.12: cannot open shared object file"),
)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: type(cause).__name__)
def test_predict_waits_while_the_version_cannot_be_opened(
    context: AppContext, live: LivePredictor, monkeypatch: pytest.MonkeyPatch, cause: Exception
) -> None:
    add_ready(context, 1)
    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "open", Mock(side_effect=cause))
        for _ in range(2):
            with pytest.raises(VersionError):
                predict_chunk(context, live)
    assert waiting(context) == [(State.READY, 0)]
    assert [image.state for image in predict_all(context, live)] == [State.PREDICTED]


def test_predict_fails_no_image_for_a_network_that_fails_for_all(
    context: AppContext, live: LivePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it fails from the beginning or only later."""
    add_ready(context, 3)
    live.open_production(context)
    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "predict", Mock(side_effect=RuntimeError("no memory")))
        with pytest.raises(VersionError, match="no memory"):
            predict_chunk(context, live)
        with pytest.raises(VersionError, match="no memory"):
            LivePredictor().open_production(context)
    assert waiting(context) == [(State.READY, 0)] * 3


def test_predict_without_a_live_version_waits(context: AppContext) -> None:
    add_ready(context, 1)
    with pytest.raises(VersionError, match="no model version is in production"):
        predict_chunk(context, LivePredictor())
    assert waiting(context) == [(State.READY, 0)]


def test_predict_fails_no_image_for_a_store_that_is_away(
    context: AppContext, live: LivePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it goes before the claim or after it."""
    root = context.store.root
    make_store(root, holds_files=False)
    mark_store(root)
    away = root.rename(root.with_name("elsewhere"))
    root.mkdir()
    with pytest.raises(StoreAwayError):
        predict_chunk(context, live)  # though no image waits
    root.rmdir()
    away.rename(root)
    add_ready(context, 2)

    def go_away(*_: object) -> None:
        root.rename(away)
        raise FileNotFoundError

    with monkeypatch.context() as patched:
        patched.setattr(type(context.store), "network_input", go_away)
        with pytest.raises(OSError, match="mounted"):
            predict_chunk(context, live)
    assert waiting(context) == [(State.READY, 0)] * 2
    away.rename(root)
    assert {image.state for image in predict_all(context, live)} == {State.PREDICTED}
