"""received -> ready | rejected, with real files and real decoder processes."""

import errno
import os
import shutil
import sys
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from sqlalchemy import select, update

from models.config.settings import Settings
from models.context import AppContext
from models.files.presence import StoreAwayError, make_store, mark_store
from models.files.store import FileStore
from models.intake.claims import claim_images
from models.intake.images import cancel_waiting
from models.intake.retries import take_up
from models.reading.predictions import record_predictions
from models.tables.intake import Image, Job, State, Study
from pipeline.errors import DamagedFileError, RefusalCode
from pipeline.prepare.pool import DecoderPool
from pipeline.types import PREPROCESSING
from tests.support.data.builders import INVENTED_PATIENT
from tests.support.data.rows import a_prediction, a_version, images_in, with_settings
from tests.support.data.uploads import a_dicom, a_png, files_in, upload
from tests.support.servers.databases import both_databases
from tests.worker.conftest import TIMEOUT_S, Ingest, ingest_all
from worker.chunks import PassingError
from worker.ingest.chunk import ingest_chunk
from worker.ingest.read import UNREADABLE


def studies(context: AppContext) -> dict[int, Study]:
    with context.sessions() as session:
        return {study.id: study for study in session.scalars(select(Study))}


def test_ingest_makes_an_image_ready(context: AppContext, ingest: Ingest) -> None:
    (image,) = ingest({"folder/a.png": a_png()})
    assert (image.state, image.attempts, image.leased_by) == (State.READY, 0, None)
    assert (image.media_type, image.rows, image.columns) == ("image/png", 96, 128)
    assert (image.range_rule, image.pixel_aspect) == ("bits stored", 1)
    assert image.finished_at is None
    assert context.store.network_input(image.sha256, PREPROCESSING).shape == (224, 224)
    assert image.stored_sha256 is not None
    assert context.store.exists(image.stored_sha256)
    assert files_in(context.store, "incoming") == []


def test_ingest_rejects_unreadable_files_with_a_reason(context: AppContext, ingest: Ingest) -> None:
    refused, fine = ingest({"a/notes.txt": b"not an image", "a/b.png": a_png()})
    assert (refused.state, fine.state) == (State.REJECTED, State.READY)
    assert refused.reason
    assert "notes" not in refused.reason
    assert refused.finished_at is not None
    assert files_in(context.store, "incoming") == []


def test_ingest_groups_dicom_by_study(context: AppContext, ingest: Ingest, tmp_path: Path) -> None:
    one, other = generate_uid(), generate_uid()
    files = {
        "a/1": a_dicom(tmp_path, StudyInstanceUID=one),
        "b/2": a_dicom(tmp_path, StudyInstanceUID=one),
        "a/3": a_dicom(tmp_path, StudyInstanceUID=other),
    }
    first, second, third = ingest(files)
    assert first.study_id == second.study_id != third.study_id
    assert first.study_id is not None
    study = studies(context)[first.study_id]
    assert study.folder is None
    assert study.patient_hash is not None
    assert one not in study.study_hash


def test_ingest_groups_other_files_by_folder(
    context: AppContext, ingest: Ingest, other: Job
) -> None:
    names = ["a/1.png", "a/2.png", "b/3.png", "loose.png", "also loose.png"]
    ingest({name: a_png(seed=number) for number, name in enumerate(names)})
    upload(context, other, {"a/1.png": a_png(seed=9)})
    images = ingest({})
    groups = [image.study_id for image in images]
    assert groups[0] == groups[1]
    assert len(set(groups)) == 5
    assert studies(context)[groups[0] or 0].folder == "a"


def test_ingest_keeps_no_identifier(context: AppContext, ingest: Ingest, tmp_path: Path) -> None:
    uid = generate_uid()
    content = a_dicom(tmp_path, StudyInstanceUID=uid, **INVENTED_PATIENT)
    assert b"Testperson" in content
    (image,) = ingest({"x/1.dcm": content})
    assert image.state == State.READY
    kept = b"".join(path.read_bytes() for path in context.settings.data_dir.rglob("*.*"))
    kept += b"".join(path.read_bytes() for path in context.store.root.rglob("*") if path.is_file())
    kept += repr([vars(image), *map(vars, studies(context).values())]).encode()
    for identifier in [*INVENTED_PATIENT.values(), uid]:
        assert identifier.encode() not in kept


@both_databases
def test_ingest_decodes_equal_bytes_once(context: AppContext, ingest: Ingest, other: Job) -> None:
    ingest({"a/1.png": a_png()})
    upload(context, other, {"z/9.png": a_png()})
    with DecoderPool(processes=1, timeout_s=TIMEOUT_S, key=b"never used") as unused:
        unused.close()  # whoever asked it for anything would get a refusal
        first, second = ingest_all(context, unused)
    assert (first.state, second.state) == (State.READY, State.READY)
    assert first.stored_sha256 == second.stored_sha256
    assert first.study_id != second.study_id  # other upload, other folder
    assert files_in(context.store, "incoming") == []
    assert len(files_in(context.store, "inputs")) == len(files_in(context.store, "stored")) == 1


def test_ingest_finishes_bytes_that_were_predicted_before(
    context: AppContext, ingest: Ingest, pool: DecoderPool, job: Job
) -> None:
    ingest({"a/1.png": a_png()})
    with context.sessions.begin() as session:
        claim = claim_images(session, State.READY, Settings(chunk_size=9))
        answers = {image.sha256: a_prediction() for image in claim.images}
        version = a_version(session)
        record_predictions(session, claim, answers, model_version_id=version.id, engine="a test")
    again = ingest({"a/again.png": a_png()})
    assert [image.state for image in again] == [State.PREDICTED] * 2
    upload(context, job, {"a/at another point.png": a_png()})
    *_, last = ingest_all(with_settings(context, operating_point="sensitive"), pool)
    assert last.state == State.READY, "the answer that is there is another point's"


def test_ingest_refuses_deleted_bytes_again(context: AppContext, ingest: Ingest, job: Job) -> None:
    ingest({"a/1.txt": b"not an image"})
    (again,) = upload(context, job, {"a/2.txt": b"not an image"})
    context.store.delete(again.sha256)
    before, after = ingest({})
    assert (after.state, after.reason) == (State.REJECTED, before.reason)


@pytest.mark.parametrize("is_first_cancelled", [False, True])
def test_ingest_fails_a_vanished_upload(
    context: AppContext, ingest: Ingest, job: Job, is_first_cancelled: bool
) -> None:
    """Also after a cancelled image of the same bytes, whose reason does not count for it."""
    if is_first_cancelled:
        upload(context, job, {"a/2.png": a_png()})
        with context.sessions.begin() as session:
            cancel_waiting(session, job.id, limit=9)
    (gone,) = upload(context, job, {"a/1.png": a_png()})
    context.store.delete(gone.sha256)
    *_, image = ingest({})
    assert image.state == State.FAILED
    assert image.reason == "the uploaded file is no longer in the file store"
    assert image.reason_code == RefusalCode.BYTES_MISSING


@pytest.mark.parametrize("rotten", [a_png(seed=2), b"not even an image"])
def test_ingest_fails_an_upload_that_rotted(
    context: AppContext, ingest: Ingest, job: Job, rotten: bytes
) -> None:
    bad, _ = upload(context, job, {"a/1.png": a_png(seed=1), "a/3.png": a_png(seed=3)})
    context.store.path(bad.sha256, area="incoming").write_bytes(rotten)
    failed, fine = ingest({})
    assert (failed.state, fine.state) == (State.FAILED, State.READY)
    assert failed.reason == "the uploaded file was damaged in the file store: send it again"
    assert failed.reason_code == RefusalCode.BYTES_DAMAGED
    assert not context.store.exists(bad.sha256, area="incoming")
    assert not context.store.has_network_input(bad.sha256, PREPROCESSING)

    with context.sessions.begin() as session:
        take_up(session, [failed.id], state=State.RECEIVED)
    *_, again = ingest({"a/1.png": a_png(seed=1)})
    assert {again.state, images_in(context)[0].state} == {State.READY}


def fail_to_read(patched: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: object, **__: object) -> Path:
        raise OSError(number, os.strerror(number))

    patched.setattr(FileStore, "checked_path", fail)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.ESTALE])
def test_ingest_blames_no_file_for_a_passing_error_of_reading(
    context: AppContext,
    pool: DecoderPool,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    upload(context, job, {"a/1.png": a_png(), "a/2.txt": b"not an image"})
    with monkeypatch.context() as patched:
        fail_to_read(patched, number)
        with pytest.raises(OSError, match=os.strerror(number)):
            ingest_chunk(context, pool)
    assert {(one.state, one.attempts) for one in images_in(context)} == {(State.RECEIVED, 0)}
    assert len(files_in(context.store, "incoming")) == 2


def test_ingest_keeps_an_upload_that_cannot_be_read(
    context: AppContext, pool: DecoderPool, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sent,) = upload(context, job, {"a/1.png": a_png()})
    with monkeypatch.context() as patched:
        fail_to_read(patched, errno.EIO)
        (failed,) = ingest_all(context, pool)
    assert (failed.state, failed.reason_code) == (State.FAILED, RefusalCode.BYTES_DAMAGED)
    assert failed.reason == UNREADABLE.clause
    with context.sessions.begin() as session:
        take_up(session, [sent.id], state=State.RECEIVED)
    assert ingest_all(context, pool)[0].state == State.READY


def test_ingest_keeps_an_upload_that_is_sent_again_while_it_is_found_damaged(
    context: AppContext, pool: DecoderPool, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sent,) = upload(context, job, {"a/1.png": a_png()})
    context.store.path(sent.sha256, area="incoming").write_bytes(b"rotten")

    def resend(store: FileStore, *_: object, **__: object) -> Path:
        store.put(BytesIO(a_png()))
        raise DamagedFileError

    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "checked_path", resend)
        ingest_chunk(context, pool)
    assert context.store.checked_path(sent.sha256, area="incoming")


def test_ingest_restores_nothing_from_a_damaged_file(context: AppContext, ingest: Ingest) -> None:
    first, second = ingest({"a/1.png": a_png(seed=1), "a/2.png": a_png(seed=2)})
    path, other = (context.store.path(str(one.stored_sha256)) for one in (first, second))
    path.write_bytes(other.read_bytes())
    context.store.discard_network_input(first.sha256, PREPROCESSING)
    with context.sessions.begin() as session:
        session.execute(update(Image).where(Image.id == first.id).values(state=State.RECEIVED))
    failed, _ = ingest({})
    assert (failed.state, failed.reason_code) == (State.FAILED, RefusalCode.BYTES_DAMAGED)
    assert failed.reason == "the network input is lost and the stored file is damaged"
    assert not context.store.has_network_input(first.sha256, PREPROCESSING)


def test_ingest_gives_back_images_when_stopping(
    context: AppContext, pool: DecoderPool, job: Job
) -> None:
    upload(context, job, {f"a/{n}.png": a_png(seed=n) for n in range(4)})
    context.stopping.set()
    ingest_chunk(context, pool)
    images = images_in(context)
    found = {(image.state, image.attempts, image.leased_by) for image in images}
    assert found == {(State.RECEIVED, 0, None)}
    context.stopping.clear()
    assert {image.state for image in ingest_all(context, pool)} == {State.READY}


def test_ingest_starts_no_file_after_its_time(
    context: AppContext, pool: DecoderPool, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(context, job, {f"a/{n}.png": a_png(seed=n) for n in range(4)})
    with monkeypatch.context() as patched:
        patched.setattr("worker.ingest.read.CHUNK_S", 0.0)
        assert ingest_chunk(context, pool)
    images = images_in(context)
    found = {(image.state, image.attempts, image.leased_by) for image in images}
    assert found == {(State.RECEIVED, 0, None)}
    assert {image.state for image in ingest_all(context, pool)} == {State.READY}


def test_ingest_blames_no_file_for_a_full_disk(
    context: AppContext, pool: DecoderPool, job: Job
) -> None:
    upload(context, job, {"a/1.png": a_png()})
    blocked = context.store.root / "inputs"
    blocked.write_bytes(b"")  # a file where a folder is wanted: every write below it fails
    with pytest.raises(OSError):  # noqa: PT011 (which one is the system's choice)
        ingest_chunk(context, pool)
    blocked.unlink()
    (image,) = images_in(context)
    assert (image.state, image.attempts) == (State.RECEIVED, 0)
    assert ingest_all(context, pool)[0].state == State.READY


def test_ingest_blames_no_file_for_a_decoder_that_does_not_start(
    context: AppContext, pool: DecoderPool, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(context, job, {"a/1.png": a_png()})
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with (
        DecoderPool(processes=1, timeout_s=TIMEOUT_S) as short_lived,
        pytest.raises(PassingError, match="did not start"),
    ):
        ingest_chunk(context, short_lived)
    (image,) = images_in(context)
    assert (image.state, image.attempts) == (State.RECEIVED, 0)
    assert ingest_all(context, pool)[0].state == State.READY


def test_ingest_keeps_an_upload_that_another_image_needs(
    context: AppContext, pool: DecoderPool, job: Job, other: Job
) -> None:
    upload(context, job, {"a/1.txt": b"not an image"})
    upload(context, other, {"a/1.txt": b"not an image"})
    ingest_chunk(with_settings(context, chunk_size=1), pool)
    assert len(files_in(context.store, "incoming")) == 1
    assert {image.state for image in ingest_all(context, pool)} == {State.REJECTED}
    assert files_in(context.store, "incoming") == []


def test_ingest_blames_no_file_for_a_store_that_is_away(
    context: AppContext, pool: DecoderPool, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it goes before the claim or after it."""
    root = context.store.root
    make_store(root, holds_files=False)
    mark_store(root)
    upload(context, job, {"a/1.png": a_png()})
    away = root.rename(root.with_name("elsewhere"))
    with monkeypatch.context() as patched:
        patched.setattr("worker.ingest.chunk.claim_images", None)
        with pytest.raises(StoreAwayError):
            ingest_chunk(context, pool)
    away.rename(root)

    def go_away(*_: object, **__: object) -> bool:
        if root.exists():
            root.rename(away)
        return False

    with monkeypatch.context() as patched:
        patched.setattr(type(context.store), "exists", go_away)
        with pytest.raises(StoreAwayError):
            ingest_chunk(context, pool)
    (image,) = images_in(context)
    assert (image.state, image.attempts) == (State.RECEIVED, 0)
    away.rename(root)
    assert ingest_all(context, pool)[0].state == State.READY
