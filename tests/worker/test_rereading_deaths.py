"""Workers that die while they read again, and what kills them."""

import pytest
from sqlalchemy import update

from models.context import AppContext
from models.reading.rereadings import settle_chunk
from models.tables.intake import Image, State
from tests.support.data.rereadings import (
    IMAGES,
    add_answer,
    answers,
    ask,
    claim,
    is_due,
    live_version,
    progress,
    read_before,
)
from tests.support.data.rows import all_images, lapse_leases
from tests.support.servers.databases import both_databases
from worker.predict import LivePredictor
from worker.reread import reread_chunk
from worker.sweep import sweep


@pytest.fixture
def context(context: AppContext) -> AppContext:
    return read_before(context)


@both_databases
def test_what_stops_its_worker_each_time_is_given_up_and_takes_no_other_with_it(
    context: AppContext, caplog: pytest.LogCaptureFixture
) -> None:
    with context.sessions() as session:
        deadly = all_images(session)[1].id
    ask(context)
    deaths = 0
    while is_due(context):
        assert deaths < 9, "it would be tried without end"
        while chunk := claim(context):
            if deadly in chunk.image_ids:
                deaths += 1  # nothing more is heard of this worker
                break
            with context.sessions.begin() as session:
                for sha256 in chunk.sha256s:
                    add_answer(session, sha256, live_version(context))
                settle_chunk(session, chunk)
        with context.sessions.begin() as session:
            lapse_leases(session)
        sweep(context)
    assert deaths == 1 + context.settings.max_attempts, "once in company, then alone"
    assert list(answers(context).values()) == [IMAGES, IMAGES - 1]
    assert progress(context) == (5, 5, True)
    assert "1 images are not read again: each stopped its worker too often" in caplog.text
    with context.sessions() as session:
        images = all_images(session)
    assert {(one.state, one.leased_by, one.attempts) for one in images} == {
        (State.PREDICTED, None, 0)
    }


def test_how_often_an_image_was_claimed_before_does_not_count(context: AppContext) -> None:
    """Predicting leaves its own count; an earlier re-reading may have left its own."""
    with context.sessions.begin() as session:
        session.execute(update(Image).values(attempts=9))
    ask(context)
    dying = claim(context)
    assert dying is not None
    with context.sessions.begin() as session:
        lapse_leases(session)
    sweep(context)
    live = LivePredictor()
    while reread_chunk(context, live):
        pass
    assert list(answers(context).values()) == [IMAGES, IMAGES]


def test_who_dies_after_its_answers_were_written_holds_nothing_for_ever(
    context: AppContext,
) -> None:
    ask(context)
    dying = claim(context)
    assert dying is not None
    version = live_version(context)
    with context.sessions.begin() as session:
        for sha256 in dying.sha256s:
            add_answer(session, sha256, version)
    live = LivePredictor()
    while reread_chunk(context, live):
        pass
    assert progress(context) == (5, 5, True)
    with context.sessions() as session:
        assert {image.leased_by for image in all_images(session)} == {None}
