"""The sweep deletes only what no row needs, once it is old enough."""

import io
import os
import time

import numpy as np
import pytest

from models.context import AppContext
from models.files import garbage
from models.files.garbage import DAY_S, collect_garbage
from models.files.partial import PartialFiles
from models.intake.jobs import cancel_job, cancel_some
from models.intake.uploads import Declared, advance, declare, give_up
from models.learning.nights import cancel_night, request_night
from models.tables.intake import Job, Upload
from tests.support.data.rows import a_job
from tests.support.data.uploads import a_png, files_in, upload
from tests.support.data.versions import make_version
from tests.support.servers.databases import both_databases
from worker.tidy import discard_uploads

LONG_AGO_S = 25 * 3600
AREAS_OF_WRITERS = ("incoming", "stored", "partial", "temporary")


def age(context: AppContext, area: str) -> None:
    then = time.time() - LONG_AGO_S
    for path in files_in(context.store, area):
        os.utime(path, (then, then))


def collect(context: AppContext, *, age_s: float = DAY_S) -> None:
    collect_garbage(context.sessions, context.store, lease_s=60, age_s=age_s)


def begin_upload(context: AppContext, job_id: str) -> int:
    """Five of its ten bytes have arrived."""
    with context.sessions.begin() as session:
        (declared,) = declare(session, job_id=job_id, files=[Declared("a.png", 10)])
        with PartialFiles(context.store).hold(declared.id) as partial:
            partial.append(io.BytesIO(b"12345"), at=0, max_bytes=5)
        assert advance(session, declared.id, before=0, received=5)
    return declared.id


def received(context: AppContext, upload_id: int) -> int:
    with context.sessions() as session:
        return session.get_one(Upload, upload_id).received


@pytest.fixture
def job(context: AppContext) -> Job:
    with context.sessions.begin() as session:
        return a_job(session)


def test_nothing_is_deleted_early_after_the_clock_was_set_forward(
    context: AppContext, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a day, so that all files look old: of writers under way, and of what may be retried."""
    upload_id = begin_upload(context, job.id)
    context.store.put_bytes(b"its row is about to be written")
    context.store.put(io.BytesIO(b"a sender's"))
    (context.store.temporary / "half").write_bytes(b"half")
    before = {area: files_in(context.store, area) for area in AREAS_OF_WRITERS}
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + LONG_AGO_S)
    collect(context)
    assert {area: files_in(context.store, area) for area in AREAS_OF_WRITERS} == before
    assert received(context, upload_id) == 5
    monkeypatch.undo()
    for area in AREAS_OF_WRITERS:
        age(context, area)
    collect(context)
    assert not any(files_in(context.store, area) for area in AREAS_OF_WRITERS)


def test_files_of_the_future_grow_old_from_now_on(
    context: AppContext, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the clock was set back by a year; uploads may name their patients."""
    begin_upload(context, job.id)
    context.store.put_bytes(b"of no row")
    discarded = context.store.put(io.BytesIO(b"read already")).sha256
    (context.store.temporary / "half").write_bytes(b"half")
    files = [path for area in AREAS_OF_WRITERS for path in files_in(context.store, area)]
    later = time.time() + 365 * DAY_S
    for path in files:
        os.utime(path, (later, later))
    discard_uploads(context, [discarded])
    collect(context)
    assert all(path.stat().st_mtime <= time.time() for path in files)
    monkeypatch.setattr(garbage, "moment_before", lambda age_s: time.time() + 1)
    collect(context)
    assert not any(files_in(context.store, area) for area in AREAS_OF_WRITERS)


@both_databases
def test_old_or_given_up_parts_of_an_upload_are_deleted(context: AppContext, job: Job) -> None:
    upload_id = begin_upload(context, job.id)
    collect(context)
    assert PartialFiles(context.store).all() == [upload_id], "they are recent"
    age(context, "partial")
    with PartialFiles(context.store).hold(upload_id):
        collect(context)
    assert received(context, upload_id) == 5, "someone was sending it"
    collect(context)
    assert PartialFiles(context.store).all() == []
    assert received(context, upload_id) == 0, "they are expected again"
    begin_upload(context, job.id)
    with context.sessions.begin() as session:
        assert give_up(session, job.id) == 1
    collect(context)
    assert PartialFiles(context.store).all() == []


def test_temporary_files_and_notes_of_the_first_release_are_deleted_after_a_day(
    context: AppContext,
) -> None:
    context.store.put(io.BytesIO(b"makes the folder"))
    (context.store.temporary / "cut off").write_bytes(b"half")
    notes = context.store.root / "begun"
    notes.mkdir()
    collect(context)
    assert (len(files_in(context.store, "temporary")), notes.exists()) == (1, True)
    age(context, "temporary")
    os.utime(notes, (0, 0))
    collect(context)
    assert (files_in(context.store, "temporary"), notes.exists()) == ([], False)


def test_upload_of_a_cancelled_image_stays_for_a_day(context: AppContext, job: Job) -> None:
    (image,) = upload(context, job, {"a.png": a_png()})
    with context.sessions.begin() as session:
        cancel_job(session, job.id)
        cancel_some(session, job.id)
    age(context, "incoming")
    discard_uploads(context, [image.sha256])
    collect(context)
    assert context.store.exists(image.sha256, area="incoming")
    collect(context, age_s=-1)
    assert not context.store.exists(image.sha256, area="incoming")


@both_databases
def test_files_without_a_row_are_deleted_once_old(context: AppContext, job: Job) -> None:
    areas = ("incoming", "stored", "inputs")
    (waiting,) = upload(context, job, {"a.png": a_png()})
    context.store.put(io.BytesIO(b"no row needs this"))
    context.store.put_bytes(b"a stored file")
    context.store.put_network_input("ab" * 32, "1", np.zeros((224, 224), np.uint8))
    collect(context)
    assert [len(files_in(context.store, area)) for area in areas] == [2, 1, 1]
    for area in areas:
        age(context, area)
    context.store.put_bytes(b"a stored file")  # again: its row is about to be written
    collect(context)
    assert [len(files_in(context.store, area)) for area in areas] == [1, 1, 0]
    assert context.store.exists(waiting.sha256, area="incoming")


def test_leftovers_of_trainings_are_deleted_unless_a_night_is_open(context: AppContext) -> None:
    networks = context.settings.data_dir / "networks"
    left = [networks / name for name in (".night-7.training", ".night-7.partial-12ab")]
    young = networks / ".night-8.training"
    for folder in (*left, young):
        folder.mkdir(parents=True)
        (folder / "checkpoint.npz").write_bytes(b"half a training")
    version = make_version(networks / "night-8")
    for folder in (*left, version):
        os.utime(folder, (0, 0))
    with context.sessions.begin() as session:
        night_id = request_night(session, user_id=None).id
    collect(context)
    assert sorted(networks.iterdir()) == sorted([*left, young, version])
    with context.sessions.begin() as session:
        cancel_night(session, night_id)
    collect(context)
    assert sorted(networks.iterdir()) == sorted([young, version])
