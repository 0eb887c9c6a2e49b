"""Re-reading adds predictions of the production version, whatever happens to its workers."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from models.base import now
from models.context import AppContext
from models.files.presence import StoreAwayError, mark_store
from models.files.purge import purge_step
from models.files.store import FileStore
from models.intake.jobs import job_progress
from models.learning.promotion import install_baseline, promote, roll_back
from models.operations.dump import end_work_in_progress
from models.reading.predictions import add_predictions
from models.reading.rereadings import (
    Chunk,
    claim_chunk,
    due_rereading,
    list_rereadings,
    request_rereading,
    settle_chunk,
)
from models.tables import intake as tables
from models.tables.intake import Image, Job, ModelVersion, State
from models.tables.people import Role
from pipeline.types import PREPROCESSING, OperatingPoint
from tests.support.data.rows import (
    a_job,
    a_prediction,
    a_user,
    a_version,
    all_images,
    an_image,
    images_in,
    lapse_leases,
    live_version,
    with_settings,
)
from tests.support.data.uploads import put_inputs
from tests.support.servers.databases import both_databases
from worker.predict import LivePredictor
from worker.reread import reread_chunk
from worker.sweep import sweep

POINT: OperatingPoint = "balanced"
IMAGES = 5


@pytest.fixture
def context(context: AppContext) -> AppContext:
    """Images predicted with an old version, the shipped one in production, small chunks."""
    with context.sessions.begin() as session:
        old = a_version(session, name="old")
        job = a_job(session)
        images = [
            an_image(session, job, content=str(number), state=State.PREDICTED)
            for number in range(IMAGES)
        ]
        for image in images:
            add_answer(session, image.sha256, old)
        install_baseline(session, data_dir=context.settings.data_dir)
    put_inputs(context, images)
    return with_settings(context, chunk_size=2)


def add_answer(session: Session, sha256: str, version: ModelVersion) -> None:
    add_predictions(
        session,
        {sha256: a_prediction(model_version=version.name)},
        model_version_id=version.id,
        engine="a test",
    )


def is_due(context: AppContext) -> bool:
    with context.sessions() as session:
        return due_rereading(session, operating_point=POINT, lease_s=120) is not None


def ask(context: AppContext) -> None:
    with context.sessions.begin() as session:
        request_rereading(
            session,
            model_version_id=live_version(session).id,
            operating_point=POINT,
            user_id=a_user(session, role=Role.ADMIN).id,
        )


def answers(context: AppContext) -> list[int]:
    """Number of predictions of each version."""
    version = tables.Prediction.model_version_id
    counted = select(func.count(version)).group_by(version).order_by(version)
    with context.sessions() as session:
        return list(session.scalars(counted))


def progress(context: AppContext) -> tuple[int, int, bool]:
    with context.sessions() as session:
        (one,) = list_rereadings(session)
    return one.done, one.total, one.rereading.finished_at is not None


def claim(context: AppContext) -> Chunk | None:
    with context.sessions.begin() as session:
        (one,) = list_rereadings(session)
        return claim_chunk(session, one.rereading.id, context.settings)


def reread_all(context: AppContext) -> None:
    live = LivePredictor()
    while reread_chunk(context, live):
        pass


def claim_two(context: AppContext) -> Chunk:
    chunk = claim(context)
    assert chunk is not None
    return chunk


@both_databases
def test_reread_adds_predictions_and_keeps_old_ones(context: AppContext) -> None:
    live = LivePredictor()
    assert not is_due(context)
    assert not reread_chunk(context, live), "nobody asked for it"
    ask(context)
    with context.sessions() as session:
        before = [(image.state, image.finished_at) for image in all_images(session)]
        counts = job_progress(session, all_images(session)[0].job_id)
    seen = []
    while reread_chunk(context, live):
        seen.append(progress(context))
    assert seen == [(2, 5, False), (4, 5, False), (5, 5, True)]
    assert answers(context) == [IMAGES, IMAGES]
    with context.sessions() as session:
        assert [(image.state, image.finished_at) for image in all_images(session)] == before
        assert job_progress(session, all_images(session)[0].job_id) == counts
    assert not is_due(context)


def test_reread_waits_for_new_images(context: AppContext) -> None:
    ask(context)
    with context.sessions.begin() as session:
        fresh = an_image(session, a_job(session), state=State.READY)
    assert not is_due(context)
    assert not reread_chunk(context, LivePredictor())
    with context.sessions.begin() as session:
        session.get_one(Image, fresh.id).state = State.FAILED
    assert is_due(context)


def test_reread_waits_while_another_version_is_in_production(context: AppContext) -> None:
    ask(context)
    live = LivePredictor()
    assert reread_chunk(context, live)
    with context.sessions.begin() as session:
        other = a_version(session, name="other", is_live=False)
        promote(session, other, user_id=None, reason="for a test")
    assert not reread_chunk(context, live)
    assert progress(context) == (2, 5, False)
    with context.sessions.begin() as session:
        roll_back(session, user_id=None, reason="for a test")
    reread_all(context)
    assert progress(context) == (5, 5, True)


@both_databases
def test_reread_claims_do_not_overlap_and_lapsed_ones_come_last(context: AppContext) -> None:
    ask(context)
    lost = claim_two(context)
    reread_all(context)
    assert answers(context) == [IMAGES, IMAGES - len(lost.sha256s)]
    assert not progress(context)[2], "another worker may hold them"
    with context.sessions.begin() as session:
        end_work_in_progress(session)  # as a restored backup does
        lapse_leases(session)
    assert is_due(context)
    reread_all(context)
    assert answers(context) == [IMAGES, IMAGES]
    assert progress(context) == (5, 5, True)
    images = images_in(context)
    assert {(one.leased_by, one.attempts) for one in images} == {(None, 0)}


@both_databases
def test_concurrent_rereads_predict_each_image_once(context: AppContext) -> None:
    ask(context)
    ready = threading.Barrier(2)

    def work(_: int) -> None:
        ready.wait()
        reread_all(context)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(2)))
    assert answers(context) == [IMAGES, IMAGES]
    assert progress(context) == (5, 5, True)


def test_reread_skips_images_without_network_input(
    context: AppContext, caplog: pytest.LogCaptureFixture
) -> None:
    gone = images_in(context)[1]
    context.store.discard_network_input(gone.sha256, PREPROCESSING)
    ask(context)
    reread_all(context)
    assert answers(context) == [IMAGES, IMAGES - 1]
    assert progress(context) == (5, 5, True)
    assert "1 images could not be read again" in caplog.text
    assert gone.file not in caplog.text


def test_requested_again_reread_covers_newer_images(context: AppContext) -> None:
    ask(context)
    ask(context)
    reread_all(context)
    with context.sessions.begin() as session:
        image = an_image(session, a_job(session), content="late", state=State.PREDICTED)
    put_inputs(context, [image])
    assert not reread_chunk(context, LivePredictor())
    ask(context)
    reread_all(context)
    assert progress(context) == (6, 6, True)


def test_reread_claims_nothing_while_the_file_store_is_away(context: AppContext) -> None:
    root = context.store.root
    mark_store(root)
    ask(context)
    away = root.rename(root.with_name("elsewhere"))
    with pytest.raises(StoreAwayError):
        reread_chunk(context, LivePredictor())
    assert progress(context) == (0, 5, False)
    assert {image.leased_by for image in images_in(context)} == {None}
    away.rename(root)
    reread_all(context)
    assert answers(context) == [IMAGES, IMAGES]


class VanishingStore(FileStore):
    """Its disk goes when the first network input is read."""

    def network_input(self, sha256: str, preprocessing: str) -> NDArray[np.uint8]:
        self.root.rename(self.root.with_name("elsewhere"))
        return super().network_input(sha256, preprocessing)


def test_reread_gives_its_chunk_back_where_the_file_store_goes(context: AppContext) -> None:
    root = context.store.root
    mark_store(root)
    ask(context)
    context = with_settings(context, max_attempts=1)
    for _ in range(6):  # three chunks, then images alone; more often than attempts are allowed
        vanishing = replace(context, store=VanishingStore(root))
        with pytest.raises(StoreAwayError):
            reread_chunk(vanishing, LivePredictor())
        root.with_name("elsewhere").rename(root)
        sweep(context)
    reread_all(context)  # without waiting for a lease to lapse
    assert answers(context) == [IMAGES, IMAGES]
    assert progress(context) == (5, 5, True)


class PurgingStore(FileStore):
    """Gives network inputs as any; before the first one, the oldest image's job is purged."""

    def __init__(self, context: AppContext) -> None:
        super().__init__(context.store.root)
        self._context, self._is_purged = context, False

    def network_input(self, sha256: str, preprocessing: str) -> NDArray[np.uint8]:
        found = super().network_input(sha256, preprocessing)
        if not self._is_purged:
            self._is_purged = True
            self._purge()
        return found

    def _purge(self) -> None:
        with self._context.sessions.begin() as session:
            job = session.scalars(select(Job)).one()
            job.closed_at = now()
            session.execute(update(Image).where(Image.id > 1).values(job_id=a_job(session).id))
        purge_step(self._context.sessions, self, job.id, user_id=None)


@both_databases
def test_reread_records_nothing_for_purged_images(context: AppContext) -> None:
    ask(context)
    purging = PurgingStore(context)
    assert reread_chunk(replace(context, store=purging), LivePredictor())
    with context.sessions() as session:
        contents = session.scalars(select(Image.sha256)).all()
        answered = session.scalars(
            select(tables.Prediction.sha256).where(
                tables.Prediction.model_version_id == live_version(session).id
            )
        ).all()
    assert len(contents) == IMAGES - 1
    assert len(answered) == 1, "the chunk's other image"
    assert set(answered) < set(contents)


@both_databases
def test_reread_gives_up_an_image_that_stops_its_worker(
    context: AppContext, caplog: pytest.LogCaptureFixture
) -> None:
    deadly = images_in(context)[1].id
    ask(context)
    deaths = 0
    while is_due(context):
        assert deaths < 9, "it would be tried without end"
        while chunk := claim(context):
            if deadly in chunk.image_ids:
                deaths += 1  # this worker records nothing
                break
            with context.sessions.begin() as session:
                for sha256 in chunk.sha256s:
                    add_answer(session, sha256, live_version(session))
                settle_chunk(session, chunk)
        with context.sessions.begin() as session:
            lapse_leases(session)
        sweep(context)
    assert deaths == 1 + context.settings.max_attempts, "once in company, then alone"
    assert answers(context) == [IMAGES, IMAGES - 1]
    assert progress(context) == (5, 5, True)
    assert "1 images are not read again: each stopped its worker too often" in caplog.text
    images = images_in(context)
    assert {(one.state, one.leased_by, one.attempts) for one in images} == {
        (State.PREDICTED, None, 0)
    }


def test_reread_ignores_attempts_of_earlier_claims(context: AppContext) -> None:
    """Predicting leaves its own count; an earlier re-reading may have left its own."""
    with context.sessions.begin() as session:
        session.execute(update(Image).values(attempts=9))
    ask(context)
    claim_two(context)
    with context.sessions.begin() as session:
        lapse_leases(session)
    sweep(context)
    reread_all(context)
    assert answers(context) == [IMAGES, IMAGES]


def test_reread_releases_claims_of_a_worker_that_died_after_recording(context: AppContext) -> None:
    ask(context)
    lost = claim_two(context)
    with context.sessions.begin() as session:
        for sha256 in lost.sha256s:
            add_answer(session, sha256, live_version(session))
    reread_all(context)
    assert progress(context) == (5, 5, True)
    assert {image.leased_by for image in images_in(context)} == {None}
