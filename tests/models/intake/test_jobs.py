"""A job's progress is counted from its images."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.base import now
from models.config.settings import Settings
from models.intake.claims import claim_images, release, still_held
from models.intake.images import NewImage, add_images, record_failed
from models.intake.jobs import (
    JobStateError,
    cancel_job,
    cancel_some,
    close_job,
    create_job,
    job_progress,
    lift_cancellation,
    list_jobs,
    require_open,
)
from models.intake.uploads import Declared, arrive, declare
from models.reading.predictions import record_predictions
from models.tables.intake import Image, Job, Prediction, State
from pipeline.errors import Reason, RefusalCode
from tests.support.data.rows import (
    a_hash,
    a_job,
    a_prediction,
    a_user,
    a_version,
    all_images,
    images_in,
    some_images,
)
from tests.support.servers.databases import Database, both_databases

ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def finish(images: list[Image], *, at: datetime) -> None:
    for image in images:
        image.finished_at = at


@both_databases
def test_job_progress_counts_images_by_state(session: Session) -> None:
    job, other = a_job(session), a_job(session)
    for number, state in enumerate(State, start=1):
        some_images(session, number, state=state, job=job)
    some_images(session, 7, job=other)
    progress = job_progress(session, job.id)
    counts = {state.value: getattr(progress, state.value) for state in State}
    assert counts == {state.value: number for number, state in enumerate(State, start=1)}
    assert progress.total == 21
    assert not progress.finished


def test_job_is_finished_when_closed_and_nothing_waits(session: Session) -> None:
    job, empty = a_job(session), a_job(session)
    close_job(session, empty.id)
    progress = job_progress(session, empty.id)
    assert (progress.finished, progress.images_per_second) == (True, None)
    (image,) = some_images(session, 1, job=job, state=State.PREDICTED)
    assert not job_progress(session, job.id).finished
    close_job(session, job.id)
    assert job_progress(session, job.id).finished
    image.state = State.READY
    session.flush()
    assert not job_progress(session, job.id).finished


def test_job_progress_rate_is_of_the_last_half_minute(session: Session) -> None:
    job = a_job(session)
    job.created_at = now() - timedelta(hours=1)
    some_images(session, 30, job=job, state=State.READY)
    old, new = (some_images(session, 60, job=job, state=State.PREDICTED) for _ in range(2))
    finish(old, at=now() - timedelta(minutes=10))
    finish(new, at=now())
    progress = job_progress(session, job.id)
    assert progress.images_per_second == pytest.approx(2.0)
    assert progress.seconds_left == pytest.approx(15.0)


def test_job_progress_rate_of_a_finished_job_is_of_all_of_it(session: Session) -> None:
    job = a_job(session)
    job.created_at = now() - timedelta(hours=1)
    images = some_images(session, 50, job=job, state=State.PREDICTED)
    finish(images, at=job.created_at + timedelta(seconds=100))
    close_job(session, job.id)
    progress = job_progress(session, job.id)
    assert progress.images_per_second == pytest.approx(0.5)
    assert progress.seconds_left == 0.0


def test_list_jobs_pages_newest_first(session: Session) -> None:
    for number in range(5):
        job = a_job(session, name=str(number))
        job.created_at = now() + timedelta(seconds=number)
        some_images(session, number, job=job)
    first = list_jobs(session, page=1, page_size=3)
    second = list_jobs(session, page=2, page_size=3)
    assert [(job.name, job.total) for job in first.items] == [("4", 4), ("3", 3), ("2", 2)]
    assert [job.name for job in second.items] == ["1", "0"]
    assert (first.next, second.next, first.total) == (2, None, 5)


@both_databases
def test_create_job_returns_the_users_job_with_the_same_key(session: Session) -> None:
    def ask(user: str, key: str) -> tuple[str, bool]:
        user_id = a_user(session, name=user).id
        return create_job(session, name="a folder", user_id=user_id, key=key)

    first, is_new = ask("olga", "a key")
    assert is_new
    assert ask("olga", "a key") == (first, False)
    assert ask("olga", "another")[1]
    assert ask("ivan", "a key")[1], "a key means nothing for others"


def declare_three(session: Session, job: Job) -> list[Declared]:
    files = [Declared(f"{number}.png", 10, a_hash(str(number))) for number in range(3)]
    declare(session, job_id=job.id, files=files)
    return files


def test_close_job_refuses_missing_files_unless_given_up(session: Session) -> None:
    job = a_job(session)
    first, *_ = declare_three(session, job)
    arrive(session, job_id=job.id, files=[first])
    with pytest.raises(JobStateError, match="2 of 3 declared files have not arrived"):
        close_job(session, job.id)
    assert job.closed_at is None
    assert close_job(session, job.id, give_up_missing=True)
    progress = job_progress(session, job.id)
    assert (progress.declared, progress.missing, progress.given_up) == (3, 0, 2)
    assert progress.finished


def test_cancelled_job_is_finished_and_accepts_no_files(session: Session) -> None:
    job = a_job(session)
    declare_three(session, job)
    for state in State:
        some_images(session, 1, state=state, job=job)
    cancel_job(session, job.id)
    assert cancel_some(session, job.id, limit=1)
    assert not cancel_some(session, job.id, limit=1)
    progress = job_progress(session, job.id)
    with pytest.raises(JobStateError, match="cancelled"):
        require_open(session, job.id)
    assert (progress.received, progress.ready, progress.cancelled) == (0, 0, 3)
    assert (progress.predicted, progress.rejected, progress.failed) == (1, 1, 1)
    assert (progress.given_up, progress.missing) == (3, 0)
    assert progress.finished
    assert progress.cancelled_at is not None


@both_databases
def test_cancelling_breaks_the_claims_of_workers(session: Session) -> None:
    version = a_version(session)
    job = a_job(session)
    (waiting,) = some_images(session, 1, job=job)
    (ready,) = some_images(session, 1, job=job, state=State.READY)
    received = claim_images(session, State.RECEIVED, Settings(chunk_size=1))
    decoded = claim_images(session, State.READY, Settings(chunk_size=1))
    cancel_job(session, job.id)
    assert not cancel_some(session, job.id)
    failed = {waiting.id: Reason(RefusalCode.DECODER_CRASH, "crashed")}
    record_failed(session, received, failed)
    answers = {ready.sha256: a_prediction()}
    record_predictions(session, decoded, answers, model_version_id=version.id, engine="test")
    release(session, received, count_attempt=True)
    release(session, decoded)
    images = all_images(session)
    assert [image.state for image in images] == [State.CANCELLED] * 2
    assert [image.leased_by for image in images] == [None] * 2
    assert session.scalars(select(Prediction)).all() == []


@both_databases
@pytest.mark.parametrize("end", [close_job, cancel_job])
def test_ending_a_job_waits_for_files_being_added(
    database: Database, end: Callable[[Session, str], object]
) -> None:
    with database.sessions.begin() as session:
        job_id = a_job(session).id
    began, ended = threading.Event(), threading.Event()

    def end_it() -> None:
        began.set()
        with database.sessions.begin() as other:
            end(other, job_id)
        ended.set()

    with database.sessions.begin() as session:
        require_open(session, job_id)
        thread = threading.Thread(target=end_it)
        thread.start()
        assert began.wait(30)
        add_images(session, job_id=job_id, new=[NewImage("late.png", a_hash("late"), 10)])
        assert not ended.wait(0.3)
    thread.join(60)
    assert ended.is_set()
    with database.sessions.begin() as session:
        with pytest.raises(JobStateError):
            require_open(session, job_id)
        assert [image.file for image in all_images(session)] == ["late.png"]


@ON_POSTGRESQL
def test_cancel_some_skips_images_being_written(database: Database) -> None:
    """PostgreSQL locks rows one by one: no deadlock."""
    with database.sessions.begin() as session:
        job = a_job(session)
        some_images(session, 3, job=job)
        claim = claim_images(session, State.RECEIVED, Settings(chunk_size=2))
        cancel_job(session, job.id)
    with database.sessions.begin() as worker, database.sessions.begin() as session:
        assert len(still_held(worker, claim)) == 2
        assert cancel_some(session, job.id)
    with database.sessions.begin() as session:
        assert not cancel_some(session, job.id)
        assert {image.state for image in all_images(session)} == {State.CANCELLED}


def test_cancel_some_stops_when_the_job_is_retried(session: Session) -> None:
    job = a_job(session)
    some_images(session, 1, job=job)
    cancel_job(session, job.id)
    lift_cancellation(session, job.id)
    assert not cancel_some(session, job.id)
    assert [image.state for image in all_images(session)] == [State.RECEIVED]


@ON_POSTGRESQL
def test_files_may_be_added_concurrently(database: Database) -> None:
    """SQLite has one writer at a time."""
    with database.sessions.begin() as session:
        job_id = a_job(session).id
    with database.sessions.begin() as one, database.sessions.begin() as other:
        for session, name in ((one, "a.png"), (other, "b.png")):
            require_open(session, job_id)
            add_images(session, job_id=job_id, new=[NewImage(name, a_hash(name), 10)])
    assert len(images_in(database)) == 2
