"""Purges that are cut off, killed, or meet another purge, a backup or new bytes."""

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
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from models.base import now
from models.files.deletion_lock import BackupRunningError, deleting, hold_deletions
from models.files.orphans import find_orphans
from models.files.purge import NOTES, discard_noted, lock_images, note_contents
from models.files.purge_plan import WhichJobs
from models.session import Sessions
from models.tables.intake import Image, State
from tests.support.data.sites import Site
from tests.support.servers.databases import open_database
from tests.support.servers.kill_points import KillPoint, after_changes, is_killed, on_rename_to
from tests.support.servers.service import wait_until


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
    assert len(site.images()) == 2
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
    assert {job for job, *_ in site.images()} == {again}


@pytest.mark.parametrize(
    "moment",
    [on_rename_to(".json"), after_changes(12), after_changes(16)],
    ids=["before the note", "12", "16"],
)
def test_a_purge_that_is_killed_goes_on(site: Site, moment: KillPoint) -> None:
    job_id, _ = site.job(1, 2, 3), site.job(2)

    def purge() -> None:
        with open_database(site.database.settings, make_tables=False) as database:
            reopened = Site(database, site.store)
            while reopened.is_left(WhichJobs(job_id)):
                reopened.purge(job_id)

    assert is_killed(purge, at=moment)
    notes = site.store.root / NOTES
    an_hour_ago = time.time() - 3601
    for unwritten in notes.glob(".*"):
        os.utime(unwritten, (an_hour_ago, an_hour_ago))
    purge()
    discard_noted(site.database.sessions, site.store)
    assert find_orphans(site.database.sessions, site.store) == []
    assert {sha256 for _, sha256, _ in site.images()} == {site.sha256(2)}
    assert not list(notes.glob("*")) + list(notes.glob(".*"))


def test_a_backup_that_begins_in_the_midst_of_a_purge_leaves_nothing_behind(site: Site) -> None:
    """It waits for the purge, which deletes nothing any more: the note stays for the tidy."""
    note(site, [1])
    with in_hand(site, 1) as purges:
        backup = threading.Thread(target=begin_backup, args=[site])
        backup.start()
        wait_until(lambda: not may_delete(site), within_s=60, what="a backup's beginning")
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
    telling = TellingSessions(bind=site.database.engine)
    with ThreadPoolExecutor(purges) as threads, site.database.sessions.begin() as session:
        lock_images(session)
        begun = [threads.submit(discard_noted, telling, site.store) for _ in range(purges)]
        assert all(telling.begun.acquire(timeout=60) for _ in begun)
        yield begun


class TellingSessions(Sessions):
    """As any; each says that it is about to begin."""

    def __init__(self, bind: Engine) -> None:
        super().__init__(bind=bind, expire_on_commit=False)
        self.begun = threading.Semaphore(0)

    @contextmanager
    def begin(self) -> Iterator[Session]:  # type: ignore[override]
        self.begun.release()
        with super().begin() as session:
            yield session


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
