"""The sweeper nudges workers and gives up what stopped them too often."""

from datetime import timedelta

import pytest
import redis
from sqlalchemy import update

from models.base import now
from models.config.settings import Settings
from models.context import AppContext
from models.files.garbage import collect_garbage
from models.intake.claims import claim_images
from models.intake.jobs import cancel_job
from models.learning.nights import claim_night, list_nights
from models.reading.rereadings import request_rereading
from models.tables.intake import Job, ModelAlias, State
from tests.support.data.rows import (
    a_version,
    all_images,
    an_image,
    images_in,
    lapse_leases,
    with_settings,
)
from tests.support.data.uploads import a_png, files_in, upload
from tests.support.servers.databases import both_databases
from worker import enqueue
from worker.sweep import sweep


def nudges(broker_url: str, queue: str) -> int:
    with redis.Redis.from_url(broker_url) as client:
        return int(client.llen(queue))


@pytest.fixture
def with_broker(context: AppContext, broker_url: str) -> Settings:
    settings = context.settings.model_copy(update={"broker_url": broker_url})
    enqueue.connect(settings)
    return settings


def test_sweep_nudges_only_for_free_images(
    context: AppContext, with_broker: Settings, broker_url: str, job: Job
) -> None:
    sweep(context)
    assert nudges(broker_url, "ingest") == 0
    upload(context, job, {"a/1.png": a_png()})
    sweep(context)
    assert nudges(broker_url, "ingest") == 1
    with context.sessions.begin() as session:
        claim_images(session, State.RECEIVED, Settings(chunk_size=1))
    sweep(context)
    assert nudges(broker_url, "ingest") == 1
    with context.sessions.begin() as session:
        lapse_leases(session)
    sweep(context)
    assert nudges(broker_url, "ingest") == 2
    assert nudges(broker_url, "predict") == 0


def test_sweep_nudges_predict_once_the_lease_of_its_killed_worker_has_lapsed(
    context: AppContext, with_broker: Settings, broker_url: str, job: Job
) -> None:
    """Ingest has ended, so that nobody else nudges."""
    with context.sessions.begin() as session:
        an_image(session, job, state=State.READY)
        claim_images(session, State.READY, context.settings)
    sweep(context)
    assert nudges(broker_url, "predict") == 0
    with context.sessions.begin() as session:
        lapse_leases(session)
    sweep(context)
    assert nudges(broker_url, "predict") == 1
    assert nudges(broker_url, "ingest") == 0


def test_sweep_nudges_a_rereading_while_no_new_image_waits(
    context: AppContext, with_broker: Settings, broker_url: str, job: Job
) -> None:
    with context.sessions.begin() as session:
        version = a_version(session)
        an_image(session, job, state=State.PREDICTED)
        request_rereading(
            session,
            model_version_id=version.id,
            operating_point=context.settings.operating_point,
            user_id=job.user_id,
        )
    sweep(context)
    assert nudges(broker_url, "predict") == 1
    with context.sessions.begin() as session:
        an_image(session, job, content="new", state=State.READY)
    sweep(context)
    assert nudges(broker_url, "predict") == 2, "for the new image, not for the re-reading"


def test_sweep_keeps_the_upload_of_a_failed_image(context: AppContext, job: Job) -> None:
    upload(context, job, {"a/1.png": a_png()})
    for _ in range(context.settings.max_attempts + 1):
        with context.sessions.begin() as session:
            assert claim_images(session, State.RECEIVED, Settings(chunk_size=1)).images
            lapse_leases(session)
    sweep(context)
    (image,) = images_in(context)
    assert image.state == State.FAILED
    assert len(files_in(context.store, "incoming")) == 1
    collect_garbage(context.sessions, context.store, lease_s=0, age_s=-1)
    assert files_in(context.store, "incoming") == []


@both_databases
def test_sweep_finishes_an_interrupted_cancellation(
    context: AppContext, job: Job, other: Job
) -> None:
    upload(context, job, {"a/1.png": a_png(seed=1)})
    upload(context, other, {"a/2.png": a_png(seed=2)})
    with context.sessions.begin() as session:
        cancel_job(session, job.id)
    sweep(context)
    with context.sessions() as session:
        states = [image.state for image in all_images(session)]
    assert states == [State.CANCELLED, State.RECEIVED]


def test_sweep_schedules_a_due_night_once(
    context: AppContext, with_broker: Settings, broker_url: str
) -> None:
    night_at = (now() + timedelta(hours=12)).strftime("%H:%M")  # not due now
    context = with_settings(context, night_at=night_at, time_zone="UTC")
    with context.sessions.begin() as session:
        a_version(session)
    sweep(context)
    assert nudges(broker_url, "train") == 0, "a new installation waits for its first night"
    with context.sessions.begin() as session:
        session.execute(update(ModelAlias).values(created_at=now() - timedelta(days=2)))
    sweep(context)
    sweep(context)
    assert nudges(broker_url, "train") == 2
    with context.sessions.begin() as session:
        assert list_nights(session).total == 1
        assert claim_night(session, max_attempts=3) is not None
    sweep(context)
    assert nudges(broker_url, "train") == 2, "a worker holds it"
