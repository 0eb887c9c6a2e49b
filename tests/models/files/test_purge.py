"""Purges of jobs that share images, labels and snapshots, and purges that are interrupted."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session

from models.audit.log import list_audit
from models.base import now, stored_tables
from models.files.deletion_lock import BackupRunningError, hold_deletions
from models.files.garbage import collect_garbage, lock_images
from models.files.orphans import find_orphans
from models.files.partial import PartialFiles
from models.files.purge import JobNotEndedError, WhichJobs, count_purge, next_purgeable, purge_step
from models.session import Sessions
from models.tables.intake import Image, Job, Prediction, State, Study, Upload
from models.tables.learning import Night
from tests.support.data.sites import Site
from tests.support.servers.databases import both_databases, open_database
from tests.support.servers.kill_points import after_changes, is_killed


def count(site: Site) -> dict[str, int]:
    with site.database.sessions() as session:
        tables = {table.name: table for table in stored_tables()}
        rows = {name: select(func.count()).select_from(table) for name, table in tables.items()}
        return {name: session.scalar(query) or 0 for name, query in rows.items()}


CONTENTS = st.sets(st.integers(0, 5), max_size=5)


@both_databases
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(purged=CONTENTS, other=CONTENTS, labelled=CONTENTS, frozen=CONTENTS, imported=CONTENTS)
def test_purge_keeps_what_others_need(
    site: Site,
    purged: set[int],
    other: set[int],
    labelled: set[int],
    frozen: set[int],
    imported: set[int],
) -> None:
    site.empty()
    job_id, _ = site.job(*purged), site.job(*other)
    site.imported(*imported)
    known = purged | other | imported
    site.label(*labelled & known)
    site.snapshot(*frozen & known)
    kept = {site.sha256(number) for number in frozen & labelled & known}
    before, rows = site.images(), count(site)
    with site.database.sessions() as session:
        promised = count_purge(session, WhichJobs(job_id))

    while site.is_left(WhichJobs(job_id)):
        site.purge(job_id)

    assert find_orphans(site.database.sessions, site.store) == []
    left = {image for image in before if image[0] != job_id or image[1] in kept}
    assert site.images() == left
    after = count(site)
    still_known = {sha256 for _, sha256, _ in left} | {site.sha256(one) for one in imported}
    gone = {table: rows[table] - after[table] for table in rows if table != "audit"}
    expected = {
        "image": promised.images,
        "prediction": promised.predictions,
        "label": promised.labels,
        "fingerprint": len({sha256 for _, sha256, _ in before - left} - still_known),
        "upload": int(promised.jobs),
        "study": gone["study"],
        "job": int(promised.kept == 0),
    }
    assert gone == {table: expected.get(table, 0) for table in gone}
    assert promised.images == len(before) - len(left)
    assert promised.kept == sum(image[0] == job_id for image in left)


def counts(site: Site, which: WhichJobs) -> dict[str, int]:
    with site.database.sessions() as session:
        found = vars(count_purge(session, which))
    return {name: found[name] for name in ("jobs", "unended", "images", "kept")}


def test_count_purge_tells_unended_jobs_and_kept_images(site: Site) -> None:
    unended = [site.job(1, is_closed=False), site.job(2, state=State.RECEIVED), site.job(4)]
    ended = [site.job(3), site.job(5, 6)]
    site.label(5, 6)
    site.snapshot(5)
    with site.database.sessions.begin() as session:
        session.add(Night())
        session.add(Upload(job_id=unended[2], file="v", size=1, received=0))
    tomorrow = WhichJobs(ended_before=now() + timedelta(days=1))
    assert counts(site, tomorrow) == {"jobs": 1, "unended": 3, "images": 1, "kept": 2}
    yesterday = WhichJobs(ended_before=now() - timedelta(days=1))
    assert set(counts(site, yesterday).values()) == {0}
    with site.database.sessions() as session:
        assert next_purgeable(session, tomorrow) == ended[0]
    for job_id in unended:
        with pytest.raises(JobNotEndedError):
            site.purge(job_id)


def test_age_of_a_job_counts_from_its_last_result(site: Site) -> None:
    job_id, a_year_ago = site.job(1), now() - timedelta(days=365)
    with site.database.sessions.begin() as session:
        session.execute(update(Job).values(closed_at=a_year_ago))
        session.execute(update(Image).values(finished_at=now()))
    which = WhichJobs(ended_before=now() - timedelta(days=90))
    assert not site.is_left(which)
    with site.database.sessions.begin() as session:
        session.execute(update(Image).values(finished_at=a_year_ago))
    with site.database.sessions() as session:
        assert next_purgeable(session, which) == job_id


def test_purge_deletes_all_of_a_cancelled_job_and_is_audited(site: Site) -> None:
    job_id = site.job(1, 2, state=State.CANCELLED)
    with site.database.sessions() as session:
        upload_id = session.scalars(select(Upload.id)).one()
    with PartialFiles(site.store).hold(upload_id) as partial:
        partial.append(io.BytesIO(b"half"), at=0, max_bytes=9)
    site.purge(job_id)
    assert site.files() == set()
    assert find_orphans(site.database.sessions, site.store) == []
    with site.database.sessions() as session:
        assert [(one.action, one.target) for one in list_audit(session)] == [
            ("job.purged", f"{job_id}: 2 images, the last")
        ]


@both_databases
def test_purge_deletes_studies_with_their_last_image(site: Site) -> None:
    first, second = site.job(1), site.job(3)
    with site.database.sessions.begin() as session:
        shared = session.scalars(select(Image.study_id).where(Image.job_id == first)).one()
        session.execute(update(Image).values(study_id=shared))
        session.execute(delete(Study).where(Study.id != shared))
    site.purge(first)
    assert count(site)["study"] == 1
    site.purge(second)
    assert count(site)["study"] == 0


@both_databases
def test_purge_never_frees_ids(site: Site) -> None:
    """An old address would show someone else."""

    def newest(table: type[Image | Study | Prediction]) -> int:
        with site.database.sessions() as session:
            return session.scalar(select(func.max(table.id))) or 0

    job_id = site.job(1)
    before = {table: newest(table) for table in (Image, Study, Prediction)}
    site.purge(job_id)
    site.job(2)
    assert {table: newest(table) for table in before} == dict.fromkeys(before, 2)


@both_databases
def test_purge_keeps_bytes_that_were_sent_again(site: Site) -> None:
    """Their row is about to be written."""
    job_id = site.job(1, state=State.FAILED)
    site.store.put(io.BytesIO(b"1"))
    with site.database.sessions.begin() as session:
        session.execute(update(Image).values(created_at=now() - timedelta(seconds=9)))
    site.purge(job_id)
    assert site.store.exists(site.sha256(1), area="incoming")


def test_purge_deletes_nothing_while_a_backup_runs(site: Site) -> None:
    job_id = site.job(1, 2)
    files = site.files()
    with hold_deletions(site.store.root), pytest.raises(BackupRunningError):
        site.purge(job_id)
    assert site.files() == files
    assert len(site.images()) == 2


class Announcing(Sessions):
    """Says when a transaction is about to begin."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(bind=engine, expire_on_commit=False)
        self.began = threading.Event()

    @contextmanager
    def begin(self) -> Iterator[Session]:
        self.began.set()
        with super().begin() as session:
            yield session


@both_databases
def test_backup_waits_for_a_running_purge(site: Site) -> None:
    job_id, sessions = site.job(1), Announcing(site.database.engine)
    with ThreadPoolExecutor(2) as threads:
        with site.database.sessions.begin() as session:
            lock_images(session)
            purging = threads.submit(purge_step, sessions, site.store, job_id, user_id=None)
            assert sessions.began.wait(60)
            backup = threads.submit(begin_backup, site)
            assert not backup.done()
        purging.result(timeout=60)
        backup.result(timeout=60)
    assert site.files() == set()


def begin_backup(site: Site) -> None:
    with hold_deletions(site.store.root):
        assert site.files() == set()


@both_databases
@pytest.mark.parametrize("number", [3, 6])
def test_garbage_of_a_killed_purge_is_collected(site: Site, number: int) -> None:
    job_id, _ = site.job(1, 2, 3), site.job(2)

    def purge() -> None:
        with open_database(site.database.settings, make_tables=False) as database:
            reopened = Site(database, site.store)
            while reopened.is_left(WhichJobs(job_id)):
                reopened.purge(job_id)

    assert is_killed(purge, at=after_changes(number))
    purge()
    collect_garbage(site.database.sessions, site.store, lease_s=0, age_s=0)
    assert find_orphans(site.database.sessions, site.store) == []
    assert {sha256 for _, sha256, _ in site.images()} == {site.sha256(2)}
