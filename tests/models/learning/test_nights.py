"""Nights: one at a time, one worker each, and nothing written by one that lost its claim."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from models.base import now
from models.learning.nights import (
    NightClaim,
    begin_stage,
    cancel_night,
    claim_night,
    extend,
    fail_exhausted_night,
    finish_night,
    get_night,
    has_waiting_night,
    is_cancelled,
    list_nights,
    release_night,
    request_night,
    update_night,
)
from models.tables.learning import Night, Outcome
from tests.support.servers.databases import Database, both_databases

pytestmark = both_databases


def claim(session: Session, *, lease_s: float = 60) -> NightClaim:
    found = claim_night(session, lease_s=lease_s, max_attempts=3)
    assert found is not None
    return found


def lapse(session: Session) -> None:
    session.execute(update(Night).values(leased_until=now() - timedelta(seconds=1)))


def the_night(database: Database) -> Night:
    with database.sessions() as session:
        return session.scalars(select(Night)).one()


@pytest.fixture
def night(database: Database) -> Night:
    with database.sessions.begin() as session:
        return request_night(session, user_id=None)


def test_asked_for_many_times_at_once_there_is_one(database: Database) -> None:
    def ask(_: int) -> int:
        with database.sessions.begin() as session:
            return request_night(session, user_id=None).id

    with ThreadPoolExecutor(8) as people:
        ids = set(people.map(ask, range(16)))
    assert len(ids) == 1
    with database.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Night)) == 1


def test_many_workers_one_claim(database: Database, night: Night) -> None:
    def take(_: int) -> NightClaim | None:
        with database.sessions.begin() as session:
            return claim_night(session, lease_s=60, max_attempts=3)

    with ThreadPoolExecutor(8) as workers:
        claims = [found for found in workers.map(take, range(16)) if found]
    assert [found.night_id for found in claims] == [night.id]


def test_after_the_end_another_may_come(database: Database, night: Night) -> None:
    with database.sessions.begin() as session:
        assert finish_night(session, claim(session), Outcome.NOTHING, "too few")
        assert not has_waiting_night(session)
        assert request_night(session, user_id=None).id != night.id
        assert [found.outcome for found in list_nights(session).items] == [None, Outcome.NOTHING]


def test_who_lost_the_claim_writes_nothing(database: Database, night: Night) -> None:
    with database.sessions.begin() as session:
        first = claim(session)
        lapse(session)
        assert has_waiting_night(session)
        second = claim(session)
        assert not extend(session, first, lease_s=60)
        assert not update_night(session, first, progress="from the dead")
        assert not finish_night(session, first, Outcome.PROMOTED, "from the dead")
        release_night(session, first)
        assert update_night(session, second, progress="alive")
    found = the_night(database)
    assert (found.progress, found.outcome, found.leased_by) == ("alive", None, second.holder)


def test_a_night_that_keeps_killing_its_worker_is_parked(database: Database, night: Night) -> None:
    with database.sessions.begin() as session:
        for _ in range(3):
            assert not fail_exhausted_night(session, max_attempts=3)
            begin_stage(session, claim(session), "training")
            lapse(session)
        # Training was reached by the first: the others found it begun.
        assert claim_night(session, lease_s=60, max_attempts=3) is None
        assert fail_exhausted_night(session, max_attempts=3)
    found = the_night(database)
    assert (found.outcome, found.reason) == (
        Outcome.FAILED,
        "failed after 3 attempts; see the log",
    )


def test_progress_makes_up_for_earlier_attempts(database: Database, night: Night) -> None:
    with database.sessions.begin() as session:
        for _ in range(2):
            begin_stage(session, claim(session), "training")
            lapse(session)
        last = claim(session)
        assert begin_stage(session, last, "evaluation")
    assert the_night(database).attempts == 1


def test_a_night_handed_back_costs_no_attempt(database: Database, night: Night) -> None:
    with database.sessions.begin() as session:
        release_night(session, claim(session))
        assert the_attempts(session, night) == 0
        release_night(session, claim(session), count_attempt=True)
        assert the_attempts(session, night) == 1
        assert has_waiting_night(session)


def the_attempts(session: Session, night: Night) -> int:
    found = get_night(session, night.id)
    assert found is not None
    session.refresh(found)
    return found.attempts


def test_cancelling_one_that_nobody_works_on_ends_it(database: Database, night: Night) -> None:
    with database.sessions.begin() as session:
        cancel_night(session, night.id)
    assert the_night(database).outcome == Outcome.CANCELLED


def test_cancelling_one_at_work_leaves_the_end_to_its_worker(
    database: Database, night: Night
) -> None:
    with database.sessions.begin() as session:
        held = claim(session)
        assert not is_cancelled(session, held)
        cancel_night(session, night.id)
        assert is_cancelled(session, held)
    assert the_night(database).outcome is None
