"""Jobs that are cancelled or purged while a worker reads them leave no file behind."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from models.context import AppContext
from models.files.deletion_lock import hold_deletions
from models.files.garbage import collect_garbage
from models.files.orphans import find_orphans
from models.files.purge import purge_step
from models.intake.jobs import cancel_job, cancel_some, close_job
from models.tables.intake import Image, Job, State
from pipeline.errors import RefusedError
from pipeline.prepare.pool import DecoderPool
from pipeline.types import NO_LOCAL_TERMS, LocalTerms, Prepared
from tests.support.data.rows import images_in
from tests.support.data.uploads import a_dicom, a_png, files_in, upload
from tests.support.servers.databases import both_databases
from tests.worker.conftest import KEY, TIMEOUT_S, ingest_all
from worker.chunks import PassingError
from worker.ingest.chunk import ingest_chunk

Action = Callable[[], object]
AREAS = ("incoming", "stored", "inputs", "temporary")


class InterruptedPool(DecoderPool):
    """Decodes; calls `before` when it starts and `after` when everything is decoded."""

    def __init__(self, *, before: Action | None = None, after: Action | None = None) -> None:
        super().__init__(processes=1, timeout_s=TIMEOUT_S, key=KEY)
        self._before, self._after = before, after

    def prepare_all(
        self, paths: Iterable[Path], *, local_terms: LocalTerms = NO_LOCAL_TERMS
    ) -> Iterator[Prepared | RefusedError]:
        if self._before:
            self._before()
        yield from super().prepare_all(paths, local_terms=local_terms)
        if self._after:
            self._after()


@pytest.fixture
def job(context: AppContext, job: Job, tmp_path: Path) -> Job:
    upload(context, job, {"a/1.png": a_png(), "a/2.dcm": a_dicom(tmp_path)})
    return job


def cancel(context: AppContext, job: Job) -> None:
    with context.sessions.begin() as session:
        cancel_job(session, job.id)
        cancel_some(session, job.id)


def left(context: AppContext) -> dict[str, int]:
    counts = {area: len(files_in(context.store, area)) for area in AREAS}
    return {area: count for area, count in counts.items() if count}


def tidy(context: AppContext) -> None:
    collect_garbage(context.sessions, context.store, lease_s=0, age_s=-1)


@both_databases
def test_ingest_deletes_the_files_of_a_job_cancelled_in_between(
    context: AppContext, job: Job
) -> None:
    with InterruptedPool(after=lambda: cancel(context, job)) as pool:
        ingest_chunk(context, pool)
    assert {image.state for image in images_in(context)} == {State.CANCELLED}
    assert left(context) == {"incoming": 2}, "it may be tried again"
    tidy(context)
    assert find_orphans(context.sessions, context.store) == []
    assert left(context) == {}


def test_ingest_leaves_files_to_the_tidy_while_a_backup_runs(context: AppContext, job: Job) -> None:
    with hold_deletions(context.store.root):
        with InterruptedPool(after=lambda: cancel(context, job)) as pool:
            ingest_chunk(context, pool)
        tidy(context)
        assert left(context) == {"incoming": 2, "stored": 2, "inputs": 2}
    tidy(context)
    assert left(context) == {}


@both_databases
def test_ingest_deletes_the_files_of_a_job_purged_in_between(context: AppContext, job: Job) -> None:
    def purge() -> None:
        cancel(context, job)
        purge_step(context.sessions, context.store, job.id, user_id=None)

    with InterruptedPool(after=purge) as pool:
        ingest_chunk(context, pool)
    assert left(context) == {}


@both_databases
def test_ingest_reads_files_again_that_were_purged_in_between(
    context: AppContext, job: Job, other: Job, pool: DecoderPool
) -> None:
    first, _ = ingest_all(context, pool)
    with context.sessions.begin() as session:
        session.execute(update(Image).values(state=State.PREDICTED))
        close_job(session, job.id)
    upload(context, other, {"z/9.png": a_png()})
    purge = partial(purge_step, context.sessions, context.store, job.id, user_id=None)
    with InterruptedPool(before=purge) as purging:
        ingest_chunk(context, purging)
    (second,) = ingest_all(context, pool)
    assert (second.job_id, second.state, second.attempts) == (other.id, State.READY, 0)
    assert second.stored_sha256 == first.stored_sha256
    assert context.store.exists(second.stored_sha256 or "")


def test_files_of_a_broken_ingest_are_garbage_once_its_job_is_cancelled(
    context: AppContext, job: Job, pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_the_power(*_: object) -> None:
        raise PassingError("the power is cut")

    monkeypatch.setattr("worker.ingest.record.hold_off_purges", cut_the_power)
    with pytest.raises(PassingError):
        ingest_chunk(context, pool)
    cancel(context, job)
    assert left(context) == {"incoming": 2, "stored": 2, "inputs": 2}
    collect_garbage(context.sessions, context.store, lease_s=3600)
    assert left(context) == {"incoming": 2, "stored": 2, "inputs": 2}, "too young"
    tidy(context)
    assert left(context) == {}


def test_ingest_keeps_files_that_another_job_shares(
    context: AppContext, job: Job, other: Job
) -> None:
    upload(context, other, {"b/1.png": a_png()})
    with InterruptedPool(after=lambda: cancel(context, job)) as pool:
        ingest_all(context, pool)
    tidy(context)
    assert find_orphans(context.sessions, context.store) == []
    assert left(context) == {"stored": 1, "inputs": 1}
