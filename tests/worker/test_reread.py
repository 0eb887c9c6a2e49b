"""Earlier images are read again with the live version; what was there stays."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select, update

from models.base import now
from models.context import AppContext
from models.files.purge import purge_step
from models.files.store import FileStore
from models.intake.jobs import job_progress
from models.learning.promotion import promote, roll_back
from models.operations.dump import end_work_in_progress
from models.tables import intake as tables
from models.tables.intake import Image, Job, State
from tests.support.data.rereadings import (
    IMAGES,
    answers,
    ask,
    claim,
    is_due,
    live_version,
    progress,
    put_inputs,
    read_before,
)
from tests.support.data.rows import a_job, a_version, all_images, an_image, lapse_leases
from tests.support.servers.databases import both_databases
from worker.predict import LivePredictor
from worker.reread import reread_chunk


@pytest.fixture
def context(context: AppContext) -> AppContext:
    return read_before(context)


@both_databases
def test_earlier_images_get_a_second_answer_and_keep_the_first(context: AppContext) -> None:
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
    old, new = answers(context).values()
    assert (old, new) == (IMAGES, IMAGES)
    with context.sessions() as session:
        assert [(image.state, image.finished_at) for image in all_images(session)] == before
        assert job_progress(session, all_images(session)[0].job_id) == counts
    assert not is_due(context)


def test_fresh_images_go_first(context: AppContext) -> None:
    ask(context)
    with context.sessions.begin() as session:
        fresh = an_image(session, a_job(session), state=State.READY)
    assert not is_due(context)
    assert not reread_chunk(context, LivePredictor())
    with context.sessions.begin() as session:
        session.get_one(Image, fresh.id).state = State.FAILED
    assert is_due(context)


def test_it_waits_while_another_version_is_live(context: AppContext) -> None:
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
    while reread_chunk(context, live):
        pass
    assert progress(context) == (5, 5, True)


@both_databases
def test_no_two_workers_read_the_same_and_what_one_lost_is_read_at_the_end(
    context: AppContext,
) -> None:
    ask(context)
    dying = claim(context)
    assert dying is not None
    live = LivePredictor()
    while reread_chunk(context, live):
        pass
    assert list(answers(context).values()) == [IMAGES, IMAGES - len(dying.sha256s)]
    assert not progress(context)[2], "another may be at work on them"
    with context.sessions.begin() as session:
        end_work_in_progress(session)  # as a restored backup does
        lapse_leases(session)
    assert is_due(context)
    while reread_chunk(context, live):
        pass
    assert list(answers(context).values()) == [IMAGES, IMAGES]
    assert progress(context) == (5, 5, True)
    with context.sessions() as session:
        images = all_images(session)
    assert {(one.leased_by, one.attempts) for one in images} == {(None, 0)}


@both_databases
def test_two_workers_double_nothing(context: AppContext) -> None:
    ask(context)
    begun = threading.Barrier(2)

    def work() -> None:
        live = LivePredictor()
        begun.wait()
        while reread_chunk(context, live):
            pass

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    assert list(answers(context).values()) == [IMAGES, IMAGES]
    assert progress(context) == (5, 5, True)


def test_what_has_no_network_input_any_more_is_skipped_and_counted(
    context: AppContext, caplog: pytest.LogCaptureFixture
) -> None:
    with context.sessions() as session:
        gone = all_images(session)[1]
    next(context.store.root.glob(f"inputs/*/*/{gone.sha256}")).unlink()
    ask(context)
    live = LivePredictor()
    while reread_chunk(context, live):
        pass
    assert list(answers(context).values()) == [IMAGES, IMAGES - 1]
    assert progress(context) == (5, 5, True)
    assert "1 images could not be read again" in caplog.text
    assert gone.file not in caplog.text


def test_asking_again_reads_what_came_since(context: AppContext) -> None:
    ask(context)
    ask(context)
    live = LivePredictor()
    while reread_chunk(context, live):
        pass
    with context.sessions.begin() as session:
        image = an_image(session, a_job(session), content="late", state=State.PREDICTED)
    put_inputs(context, [image])
    assert not reread_chunk(context, live)
    ask(context)
    while reread_chunk(context, live):
        pass
    assert progress(context) == (6, 6, True)


class PurgingStore(FileStore):
    """Gives network inputs as any; before the first one, the oldest image's job is purged."""

    def __init__(self, context: AppContext) -> None:
        super().__init__(context.store.root)
        self._doors, self._is_purged = context, False

    def network_input(self, sha256: str, preprocessing: str) -> NDArray[np.uint8]:
        found = super().network_input(sha256, preprocessing)
        if not self._is_purged:
            self._is_purged = True
            self._purge()
        return found

    def _purge(self) -> None:
        with self._doors.sessions.begin() as session:
            job = session.scalars(select(Job)).one()
            job.closed_at = now()
            session.execute(update(Image).where(Image.id > 1).values(job_id=a_job(session).id))
        purge_step(self._doors.sessions, self, job.id, user_id=None)


@both_databases
def test_what_is_purged_meanwhile_gets_no_answer(context: AppContext) -> None:
    ask(context)
    purging = PurgingStore(context)
    assert reread_chunk(replace(context, store=purging), LivePredictor())
    with context.sessions() as session:
        contents = session.scalars(select(Image.sha256)).all()
        answered = session.scalars(
            select(tables.Prediction.sha256).where(
                tables.Prediction.model_version_id == live_version(context).id
            )
        ).all()
    assert len(contents) == IMAGES - 1
    assert len(answered) == 1, "the chunk's other image"
    assert set(answered) < set(contents)
