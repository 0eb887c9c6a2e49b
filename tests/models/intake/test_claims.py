"""Claims: nobody works on what another holds, and nothing that lost its worker is lost."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy.orm import Session

from models.base import now
from models.config.settings import Settings
from models.intake.claims import (
    Claim,
    claim_images,
    fail_exhausted,
    has_waiting,
    release,
    still_held,
)
from models.intake.images import record_failed
from models.tables.intake import State
from pipeline.errors import Reason, RefusalCode
from tests.support.data.rows import a_job, all_images, lapse_leases, move_leases, some_images
from tests.support.servers.databases import Database, both_databases

pytestmark = both_databases

LEASE = timedelta(minutes=10)  # as long as a chunk may take


@pytest.fixture(autouse=True)
def _the_same_draws() -> None:
    random.seed(1)


def claim(session: Session, *, limit: int = 4) -> Claim:
    settings = Settings(chunk_size=limit, chunk_time_limit_s=600)
    return claim_images(session, State.READY, settings)


ready_images = partial(some_images, state=State.READY)


def ids(claim: Claim) -> list[int]:
    return [image.id for image in claim.images]


@pytest.mark.parametrize(("waiting", "taken"), [(20, 20), (100, 32), (160, 40), (300, 50)])
def test_claim_grows_with_what_waits(session: Session, waiting: int, taken: int) -> None:
    ready_images(session, waiting)
    assert len(ids(claim(session, limit=50))) == taken


def test_claim_takes_the_oldest_images_up_to_its_limit(session: Session) -> None:
    ready_images(session, 6)
    before = now()
    taken = claim(session)
    images = all_images(session)
    until = images[0].leased_until
    assert until is not None
    assert timedelta(0) <= until - before - LEASE <= now() - before
    assert ids(taken) == [image.id for image in images[:4]]
    assert {image.leased_by for image in images[:4]} == {taken.id}
    assert {image.attempts for image in images[:4]} == {1}
    assert {image.leased_by for image in images[4:]} == {None}


def add_jobs(session: Session, *sizes: int) -> list[str]:
    """Ready images in jobs of their own; returns the jobs' ids."""
    jobs = [a_job(session) for _ in sizes]
    for job, size in zip(jobs, sizes, strict=True):
        ready_images(session, size, job=job)
    return [job.id for job in jobs]


@pytest.mark.parametrize(
    ("sizes", "expected"), [((50, 3), (5, 3)), ((20, 20, 20, 20), (2, 2, 2, 2))]
)
def test_claim_shares_equally_among_waiting_jobs(
    session: Session, sizes: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    jobs = add_jobs(session, *sizes)
    taken = Counter(image.job_id for image in claim(session, limit=8).images)
    assert taken == dict(zip(jobs, expected, strict=True))


def test_claim_with_a_small_job_is_short(session: Session) -> None:
    backlog, small, _ = add_jobs(session, 50, 3, 20)
    taken = Counter(image.job_id for image in claim(session, limit=30).images)
    assert (taken[backlog], taken[small], taken.total()) == (8, 3, 19)
    assert len(claim(session, limit=30).images) == 30, "once the small job has no more"


def test_claims_serve_every_job_if_there_are_more_jobs_than_places(session: Session) -> None:
    jobs = add_jobs(session, *[15] * 6)
    first: set[str] = set()
    for _ in range(30):
        first |= {image.job_id for image in claim(session, limit=2).images}
    assert first == set(jobs)


def test_claim_is_filled_from_many_tiny_jobs(session: Session) -> None:
    jobs = add_jobs(session, *[1] * 60)
    claims = [claim(session, limit=20) for _ in range(3)]
    assert [len(one.images) for one in claims] == [20, 20, 20], "not one image a query"
    assert Counter(image.job_id for one in claims for image in one.images) == dict.fromkeys(jobs, 1)


def test_claim_ignores_other_states(session: Session) -> None:
    for state in set(State) - {State.READY}:
        some_images(session, 2, state=state)
    assert claim(session).images == ()


def test_concurrent_claims_do_not_overlap(database: Database) -> None:
    with database.sessions.begin() as session:
        ready_images(session, 120)

    def take_all(_: int) -> list[int]:
        mine: list[int] = []
        while True:
            with database.sessions.begin() as session:
                taken = claim(session, limit=5)
            if not taken.images:
                return mine
            mine += ids(taken)

    with ThreadPoolExecutor(6) as threads:
        taken = [image_id for mine in threads.map(take_all, range(6)) for image_id in mine]
    assert len(taken) == 120
    assert len(set(taken)) == 120


def test_nobody_claims_what_a_late_worker_is_recording(database: Database) -> None:
    with database.sessions.begin() as session:
        ready_images(session, 1)
        late = claim(session)
        lapse_leases(session)

    def take_over() -> Claim:
        with database.sessions.begin() as session:
            return claim(session)

    with ThreadPoolExecutor(1) as threads:
        with database.sessions.begin() as session:
            assert still_held(session, late) == set(ids(late))
            other = threads.submit(take_over)
            wait([other], timeout=0.5)  # on SQLite it waits for this transaction
            reason = Reason(RefusalCode.UNEXPECTED, "for a test")
            record_failed(session, late, dict.fromkeys(ids(late), reason))
        assert other.result().images == ()


def test_lapsed_images_are_claimed_one_by_one_after_fresh_ones(session: Session) -> None:
    ready_images(session, 3)
    lost = claim(session)
    lapse_leases(session)
    ready_images(session, 2)
    fresh, first, second = claim(session), claim(session), claim(session)
    assert len(fresh.images) == 2
    assert [image.attempts for image in fresh.images] == [1, 1]
    assert [ids(first), ids(second)] == [[lost.images[0].id], [lost.images[1].id]]
    assert first.images[0].attempts == 2


def test_lapsed_images_get_a_share_while_fresh_ones_wait(session: Session) -> None:
    ready_images(session, 1)
    lost = claim(session)
    lapse_leases(session)
    ready_images(session, 110)
    turns = [claim(session, limit=2) for _ in range(50)]
    assert ids(lost) in [ids(turn) for turn in turns]


def test_images_lost_least_often_are_claimed_first(session: Session) -> None:
    ready_images(session, 3)
    claim(session)
    taken = []
    for _ in range(6):
        lapse_leases(session)
        taken += ids(claim(session))
    assert taken[:3] == taken[3:]
    assert len(set(taken)) == 3


def test_image_fails_after_its_last_attempt_alone(session: Session) -> None:
    ready_images(session, 1)
    for attempt in (1, 2, 3, 4):
        assert [image.attempts for image in claim(session).images] == [attempt]
        assert fail_exhausted(session, max_attempts=3, lease_s=600) == 0  # its lease still stands
        lapse_leases(session)
    assert claim(session).images == ()
    assert fail_exhausted(session, max_attempts=3, lease_s=600) == 1
    (image,) = all_images(session)
    assert image.state == State.FAILED
    assert image.reason == "this file stopped its worker 3 times"
    assert image.reason_code == RefusalCode.STOPPED_WORKER
    assert image.finished_at is not None


@pytest.mark.parametrize(("count_attempt", "attempts"), [(False, [1, 1, 1]), (True, [2])])
def test_release_counts_the_attempt_if_asked(
    session: Session, count_attempt: bool, attempts: list[int]
) -> None:
    ready_images(session, 3)
    taken = claim(session)
    release(session, taken, count_attempt=count_attempt)
    assert [image.attempts for image in claim(session).images] == attempts


def test_lost_claim_writes_nothing(session: Session) -> None:
    ready_images(session, 1)
    late = claim(session)
    lapse_leases(session)
    current = claim(session)
    record_failed(session, late, {late.images[0].id: Reason(RefusalCode.OTHER, "too late")})
    release(session, late)
    (image,) = all_images(session)
    assert image.state == State.READY
    assert image.leased_by == current.id
    assert image.attempts == 2


@pytest.mark.parametrize("days", [1, 400])
def test_images_are_free_again_after_the_clock_was_set_back(session: Session, days: int) -> None:
    ready_images(session, 4)
    late = claim(session)
    move_leases(session, days=days)
    assert has_waiting(session, State.READY, lease_s=600)
    current = {image.id: claim(session).id for image in late.images}
    record_failed(session, late, {one.id: Reason(RefusalCode.OTHER, "late") for one in late.images})
    assert {image.id: image.leased_by for image in all_images(session)} == current
    for _ in range(3):
        move_leases(session, days=days)
        for _ in late.images:
            claim(session)
    move_leases(session, days=days)
    assert fail_exhausted(session, max_attempts=3, lease_s=600) == 4


def test_lease_by_a_clock_that_is_a_little_ahead_is_kept(session: Session) -> None:
    ready_images(session, 1)
    claim(session)
    move_leases(session, minutes=9)
    assert not has_waiting(session, State.READY, lease_s=600)
    assert claim(session).images == ()


def test_after_a_step_forward_the_work_is_done_again_once(session: Session) -> None:
    """Leases lapse early; the claim that was taken first may not write any more."""
    ready_images(session, 3)
    early = claim(session)
    move_leases(session, days=-1)
    again = [claim(session) for _ in range(3)]
    assert sorted(ids(early)) == sorted(one for each in again for one in ids(each))
    assert still_held(session, early) == set()
    assert all(still_held(session, each) == set(ids(each)) for each in again)
    assert fail_exhausted(session, max_attempts=3, lease_s=600) == 0


def test_has_waiting_ignores_images_with_a_valid_lease(session: Session) -> None:
    is_waiting = partial(has_waiting, session, State.READY, lease_s=600)
    assert not is_waiting()
    ready_images(session, 1)
    assert is_waiting()
    claim(session)
    assert not is_waiting()
    lapse_leases(session)
    assert is_waiting()
