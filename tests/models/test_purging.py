"""A purge takes what nobody needs any more, all of it, and nothing else."""

import io
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from models.audit import list_audit
from models.base import Base, now
from models.deletions import BackupRunningError, deleting, hold_deletions
from models.file_store import FileStore
from models.learning_tables import Night
from models.orphans import find_orphans
from models.partial_files import PartialFiles
from models.purge_steps import (
    NOTES,
    StillAtWorkError,
    discard_noted,
    lock_images,
    note_contents,
)
from models.purging import (
    WhichJobs,
    count_purge,
    iter_gone_inputs,
    iter_gone_stored,
    list_plans,
    next_purgeable,
)
from models.tables import Image, Job, Prediction, State, Study, Upload
from tests.databases import Database, open_database
from tests.deaths import Moment, after, is_killed, renaming_to
from tests.sites import Site


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database, FileStore(database.settings.files_dir))


def count(site: Site) -> dict[str, int]:
    with site.database.sessions() as session:
        tables = {table.name: table for table in Base.metadata.sorted_tables}
        rows = {name: select(func.count()).select_from(table) for name, table in tables.items()}
        return {name: session.scalar(query) or 0 for name, query in rows.items()}


def images(site: Site) -> set[tuple[str, str, str | None]]:
    with site.database.sessions() as session:
        rows = session.execute(select(Image.job_id, Image.sha256, Image.stored_sha256))
        return {(job_id, sha256, stored) for job_id, sha256, stored in rows}


CONTENTS = st.sets(st.integers(0, 5), max_size=5)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(purged=CONTENTS, other=CONTENTS, labelled=CONTENTS, frozen=CONTENTS, imported=CONTENTS)
def test_whatever_jobs_share_only_what_nobody_needs_goes(
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
    before, rows, files = images(site), count(site), site.files()
    with site.database.sessions() as session:
        promised = count_purge(session, WhichJobs(job_id))
        inputs = list(iter_gone_inputs(session, WhichJobs(job_id)))
        stored = list(iter_gone_stored(session, WhichJobs(job_id)))
        (plan,) = list_plans(session, WhichJobs(job_id))

    while is_left(site, WhichJobs(job_id)):
        site.purge(job_id)

    assert find_orphans(site.database.sessions, site.store) == []
    left = {image for image in before if image[0] != job_id or image[1] in kept}
    assert images(site) == left
    after = count(site)
    gone = {table: rows[table] - after[table] for table in rows if table != "audit"}
    expected = {
        "image": promised.images,
        "prediction": promised.predictions,
        "label": promised.labels,
        "fingerprint": promised.fingerprints,
        "upload": promised.uploads,
        "study": gone["study"],
        "job": int(plan.stays == 0),
    }
    assert gone == {table: expected.get(table, 0) for table in gone}
    assert plan.goes == promised.images == len(before) - len(left)
    assert len(files - site.files()) == len(inputs) + len(stored)


def is_left(site: Site, which: WhichJobs) -> bool:
    with site.database.sessions() as session:
        return next_purgeable(session, which) is not None


def plans(site: Site, which: WhichJobs) -> dict[str, str]:
    with site.database.sessions() as session:
        return {plan.id: plan.why for plan in list_plans(session, which)}


def test_what_stays_and_why(site: Site) -> None:
    job_ids = {
        site.job(1, is_closed=False): "it is open: close or cancel it first",
        site.job(2, state=State.RECEIVED): "1 images wait to be read",
        site.job(3): "",
        (expecting := site.job(4)): "declared files are still expected",
        site.job(5, 6): "1 in a snapshot, 1 with a label, and a night is at work",
    }
    site.label(5, 6)
    site.snapshot(5)
    with site.database.sessions.begin() as session:
        session.add(Night())
        session.add(Upload(job_id=expecting, file="v", size=1, received=0))
    tomorrow = WhichJobs(ended_before=now() + timedelta(days=1))
    assert plans(site, tomorrow) == job_ids
    assert plans(site, WhichJobs(ended_before=now() - timedelta(days=1))) == {}
    with site.database.sessions() as session:
        assert job_ids[next_purgeable(session, tomorrow) or ""] == ""
    for job_id, why in job_ids.items():
        if why and "snapshot" not in why:
            with pytest.raises(StillAtWorkError):
                site.purge(job_id)


def test_what_was_read_lately_is_not_old(site: Site) -> None:
    job_id, a_year_ago = site.job(1), now() - timedelta(days=365)
    with site.database.sessions.begin() as session:
        session.execute(update(Job).values(closed_at=a_year_ago))
        session.execute(update(Image).values(finished_at=now()))
    which = WhichJobs(ended_before=now() - timedelta(days=90))
    assert plans(site, which) == {}
    with site.database.sessions.begin() as session:
        session.execute(update(Image).values(finished_at=a_year_ago))
    assert plans(site, which) == {job_id: ""}


def test_everything_of_a_cancelled_job_goes_and_each_step_is_audited(site: Site) -> None:
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


def test_bytes_that_come_again_meanwhile_stay(site: Site) -> None:
    """Their row is about to be written."""
    job_id = site.job(1, state=State.FAILED)
    site.store.put(io.BytesIO(b"1"))
    with site.database.sessions.begin() as session:
        session.execute(update(Image).values(created_at=now() - timedelta(seconds=9)))
    site.purge(job_id)
    assert site.store.exists(site.sha256(1), area="incoming")


def test_a_purge_that_was_cut_off_goes_on(site: Site) -> None:
    """As if the process had died after the rows were deleted: files are noted, and still there."""
    job_id = site.job(1, 2)
    files = site.files()
    with hold_deletions(site.store.root), pytest.raises(BackupRunningError):
        site.purge(job_id)
    assert site.files() == files
    assert len(images(site)) == 2
    copy = site.store.root.with_name("copy")
    shutil.copytree(site.store.root, copy)
    site.purge(job_id)
    shutil.rmtree(site.store.root)
    copy.rename(site.store.root)
    again = site.job(2)
    note(site, [1, 2])
    with hold_deletions(site.store.root):
        discard_noted(site.database.sessions, site.store)
    assert site.files() > files, "not while a backup is made"
    discard_noted(site.database.sessions, site.store)
    assert find_orphans(site.database.sessions, site.store) == []
    assert {job for job, *_ in images(site)} == {again}


@pytest.mark.parametrize(
    "moment", [renaming_to(".json"), after(12), after(16)], ids=["before the note", "12", "16"]
)
def test_a_purge_that_is_killed_goes_on(site: Site, moment: Moment) -> None:
    job_id, _ = site.job(1, 2, 3), site.job(2)

    def purge() -> None:
        with open_database(site.database.settings, make_tables=False) as database:
            while is_left(Site(database, site.store), WhichJobs(job_id)):
                Site(database, site.store).purge(job_id)

    assert is_killed(purge, at=moment)
    notes = site.store.root / NOTES
    an_hour_ago = time.time() - 3601
    for unwritten in notes.glob(".*"):
        os.utime(unwritten, (an_hour_ago, an_hour_ago))
    purge()
    discard_noted(site.database.sessions, site.store)
    assert find_orphans(site.database.sessions, site.store) == []
    assert {sha256 for _, sha256, _ in images(site)} == {site.sha256(2)}
    assert not list(notes.glob("*")) + list(notes.glob(".*"))


def test_a_backup_that_begins_in_the_midst_of_a_purge_leaves_nothing_behind(site: Site) -> None:
    """It waits for the purge, which deletes nothing any more: the note stays for the tidy."""
    note(site, [1])
    with in_hand(site, 1) as purges:
        backup = threading.Thread(target=begin_backup, args=[site])
        backup.start()
        while may_delete(site):
            time.sleep(0.01)
    purges[0].result()
    backup.join()
    discard_noted(site.database.sessions, site.store)
    assert site.files() == set()


def begin_backup(site: Site) -> None:
    with hold_deletions(site.store.root):
        pass


def may_delete(site: Site) -> bool:
    with deleting(site.store.root) as it_may:
        return it_may


def test_two_purges_at_once_do_not_mind_each_other(site: Site) -> None:
    note(site, [1])
    with in_hand(site, 2) as purges:
        pass
    assert [purge.exception() for purge in purges] == [None, None]
    assert site.files() == set()


@contextmanager
def in_hand(site: Site, purges: int) -> Iterator[list[Future[None]]]:
    """They have read the note, and wait for the table that someone else is writing."""
    with ThreadPoolExecutor(purges) as threads, site.database.sessions.begin() as session:
        lock_images(session)
        begun = [
            threads.submit(discard_noted, site.database.sessions, site.store) for _ in range(purges)
        ]
        time.sleep(0.3)
        yield begun


def note(site: Site, contents: Sequence[int]) -> None:
    """As `purge_step` leaves it."""
    stored = [site.store.put_bytes(f"picture {n // 2}".encode()).sha256 for n in contents]
    note_contents(
        site.store,
        [
            Image(sha256=site.sha256(number), stored_sha256=one, created_at=now())
            for number, one in zip(contents, stored, strict=True)
        ],
    )


def test_studies_go_with_their_last_image(site: Site) -> None:
    first, second = site.job(1), site.job(3)
    with site.database.sessions.begin() as session:
        shared = session.scalars(select(Image.study_id).where(Image.job_id == first)).one()
        session.execute(update(Image).values(study_id=shared))
        session.execute(delete(Study).where(Study.id != shared))
    site.purge(first)
    assert count(site)["study"] == 1
    site.purge(second)
    assert count(site)["study"] == 0


def test_ids_are_not_given_out_again(site: Site) -> None:
    """An old address would show someone else."""

    def newest(table: type[Image | Study | Prediction]) -> int:
        with site.database.sessions() as session:
            return session.scalar(select(func.max(table.id))) or 0

    job_id = site.job(1)
    before = {table: newest(table) for table in (Image, Study, Prediction)}
    site.purge(job_id)
    site.job(2)
    assert {table: newest(table) for table in before} == dict.fromkeys(before, 2)
