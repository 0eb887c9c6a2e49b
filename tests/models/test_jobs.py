"""A job's progress is counted from its images."""

from datetime import timedelta

import pytest

from models.jobs import close_job, job_progress, list_jobs
from models.tables import Image, State, now
from tests.databases import Database
from tests.rows import a_job, some_images


def test_images_are_counted_by_state(database: Database) -> None:
    with database.sessions.begin() as session:
        job, other = a_job(session), a_job(session)
        for number, state in enumerate(State, start=1):
            some_images(session, number, state=state, job=job)
        some_images(session, 7, job=other)
        progress = job_progress(session, job.id)
    assert progress is not None
    counts = {state.value: getattr(progress, state.value) for state in State}
    assert counts == {"received": 1, "ready": 2, "predicted": 3, "rejected": 4, "failed": 5}
    assert progress.total == 15
    assert not progress.finished


def test_finished_when_all_was_sent_and_nothing_waits(database: Database) -> None:
    with database.sessions.begin() as session:
        job = a_job(session)
        (image,) = some_images(session, 1, job=job, state=State.PREDICTED)

        def is_finished() -> bool:
            progress = job_progress(session, job.id)
            assert progress is not None
            return progress.finished

        assert not is_finished()
        close_job(session, job.id)
        assert is_finished()
        image.state = State.READY
        session.flush()
        assert not is_finished()


def test_an_empty_job_that_was_closed_is_finished(database: Database) -> None:
    with database.sessions.begin() as session:
        job = a_job(session)
        close_job(session, job.id)
        progress = job_progress(session, job.id)
    assert progress is not None
    assert progress.finished
    assert progress.images_per_second is None


def test_the_rate_is_that_of_the_last_half_minute(database: Database) -> None:
    with database.sessions.begin() as session:
        job = a_job(session)
        job.created_at = now() - timedelta(hours=1)
        finish(some_images(session, 60, job=job, state=State.PREDICTED), seconds_ago=10)
        finish(some_images(session, 60, job=job, state=State.PREDICTED), seconds_ago=600)
        some_images(session, 30, job=job, state=State.READY)
        progress = job_progress(session, job.id)
    assert progress is not None
    assert progress.images_per_second == pytest.approx(2.0)
    assert progress.seconds_left == pytest.approx(15.0)


def test_once_finished_the_rate_is_that_of_the_whole_job(database: Database) -> None:
    with database.sessions.begin() as session:
        job = a_job(session)
        job.created_at = now() - timedelta(seconds=110)
        finish(some_images(session, 50, job=job, state=State.PREDICTED), seconds_ago=10)
        close_job(session, job.id)
        progress = job_progress(session, job.id)
    assert progress is not None
    assert progress.images_per_second == pytest.approx(0.5, rel=0.05)
    assert progress.seconds_left == 0.0


def test_jobs_are_listed_newest_first_in_pages(database: Database) -> None:
    with database.sessions.begin() as session:
        for number in range(5):
            job = a_job(session, name=str(number))
            job.created_at = now() + timedelta(seconds=number)
            some_images(session, number, job=job)
        first = list_jobs(session, page=1, page_size=3)
        second = list_jobs(session, page=2, page_size=3)
    assert [(job.name, job.total) for job in first.items] == [("4", 4), ("3", 3), ("2", 2)]
    assert [job.name for job in second.items] == ["1", "0"]
    assert (first.next, second.next, first.total) == (2, None, 5)


def test_there_is_no_progress_of_no_job(database: Database) -> None:
    with database.sessions() as session:
        assert job_progress(session, "no such job") is None


def finish(images: list[Image], *, seconds_ago: float) -> None:
    for image in images:
        image.finished_at = now() - timedelta(seconds=seconds_ago)
