"""The daily tidying: nothing that is still needed, everything else."""

import io
import os
import time

import pytest
from sqlalchemy import update

from models.base import now
from models.context import AppContext
from models.files.partial import PartialFiles
from models.intake.jobs import cancel_job, cancel_some
from models.intake.uploads import Declared, advance, declare, give_up
from models.tables.intake import Image, State, Upload
from tests.support.data.rows import a_job
from tests.support.data.uploads import a_png, files_in, upload
from worker.tidy import discard_forgotten, discard_uploads

LONG_AGO_S = 25 * 3600


def age(context: AppContext, area: str) -> None:
    then = time.time() - LONG_AGO_S
    for path in files_in(context.store, area):
        os.utime(path, (then, then))


def begin_upload(context: AppContext, job_id: str, file: str) -> int:
    """Five of its ten bytes have come."""
    with context.sessions.begin() as session:
        (declared,) = declare(session, job_id=job_id, files=[Declared(file, 10)])
        with PartialFiles(context.store).hold(declared.id) as partial:
            partial.append(io.BytesIO(b"12345"), at=0, max_bytes=5)
        assert advance(session, declared.id, before=0, received=5)
    return declared.id


def received(context: AppContext, upload_id: int) -> int:
    with context.sessions() as session:
        return session.get_one(Upload, upload_id).received


@pytest.fixture
def job_id(context: AppContext) -> str:
    with context.sessions.begin() as session:
        return a_job(session).id


def test_pieces_stay_while_their_upload_goes_on(context: AppContext, job_id: str) -> None:
    upload_id = begin_upload(context, job_id, "a.png")
    discard_forgotten(context)
    assert PartialFiles(context.store).all() == [upload_id]
    assert received(context, upload_id) == 5


def test_pieces_of_long_ago_go_and_have_to_be_sent_again(context: AppContext, job_id: str) -> None:
    upload_id = begin_upload(context, job_id, "a.png")
    age(context, "partial")
    with PartialFiles(context.store).hold(upload_id):
        discard_forgotten(context)
    assert received(context, upload_id) == 5, "someone was sending it"
    discard_forgotten(context)
    assert PartialFiles(context.store).all() == []
    assert received(context, upload_id) == 0


def test_pieces_that_nobody_expects_go_at_once(context: AppContext, job_id: str) -> None:
    begin_upload(context, job_id, "a.png")
    with context.sessions.begin() as session:
        assert give_up(session, job_id) == 1
    discard_forgotten(context)
    assert PartialFiles(context.store).all() == []


def test_what_a_killed_process_was_writing_goes_after_a_day(context: AppContext) -> None:
    context.store.put(io.BytesIO(b"makes the folder"))
    (context.store.temporary / "cut off").write_bytes(b"half")
    discard_forgotten(context)
    assert len(files_in(context.store, "temporary")) == 1
    age(context, "temporary")
    discard_forgotten(context)
    assert files_in(context.store, "temporary") == []


def test_a_cancelled_images_bytes_stay_for_a_day_after_that(context: AppContext) -> None:
    with context.sessions.begin() as session:
        job = a_job(session)
    (image,) = upload(context, job, {"a.png": a_png()})
    with context.sessions.begin() as session:
        cancel_job(session, job.id)
        cancel_some(session, job.id)
    age(context, "incoming")
    discard_uploads(context, [image.sha256])
    discard_forgotten(context)
    assert context.store.exists(image.sha256, area="incoming")
    discard_forgotten(context, age_s=-1)
    assert not context.store.exists(image.sha256, area="incoming")


def test_a_refused_images_bytes_go_at_once(context: AppContext) -> None:
    with context.sessions.begin() as session:
        job = a_job(session)
    (image,) = upload(context, job, {"a.png": a_png()})
    with context.sessions.begin() as session:
        session.execute(update(Image).values(state=State.REJECTED, finished_at=now()))
    discard_uploads(context, [image.sha256])
    assert not context.store.exists(image.sha256, area="incoming")
