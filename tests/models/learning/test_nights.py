"""Nights: claims, attempts, cancellation, and when they are due."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.base import now
from models.config.settings import Settings
from models.learning.nights import (
    NightClaim,
    begin_due_night,
    begin_stage,
    cancel_night,
    claim_night,
    extend,
    fail_exhausted_night,
    finish_night,
    has_waiting_night,
    is_cancelled,
    last_due,
    list_nights,
    next_due,
    release_night,
    request_night,
    update_night,
)
from models.query import count_rows
from models.tables.intake import ModelAlias
from models.tables.learning import Night, Outcome
from tests.support.data.rows import a_version
from tests.support.servers.databases import Database, both_databases


def claim(session: Session) -> NightClaim:
    found = claim_night(session, max_attempts=3)
    assert found is not None
    return found


def lapse(session: Session) -> None:
    session.execute(update(Night).values(leased_until=now() - timedelta(seconds=1)))


def the_night(session: Session) -> Night:
    return session.scalars(select(Night).execution_options(populate_existing=True)).one()


@pytest.fixture
def night(session: Session) -> Night:
    return request_night(session, user_id=None)


@both_databases
def test_concurrent_requests_give_one_night(database: Database) -> None:
    def ask(_: int) -> int:
        with database.sessions.begin() as session:
            return request_night(session, user_id=None).id

    with ThreadPoolExecutor(8) as people:
        ids = set(people.map(ask, range(16)))
    assert len(ids) == 1
    with database.sessions() as session:
        assert count_rows(session, Night) == 1


@both_databases
def test_one_of_many_workers_claims_the_night(database: Database) -> None:
    with database.sessions.begin() as session:
        night = request_night(session, user_id=None)

    def take(_: int) -> NightClaim | None:
        with database.sessions.begin() as session:
            return claim_night(session, max_attempts=3)

    with ThreadPoolExecutor(8) as workers:
        claims = [found for found in workers.map(take, range(16)) if found]
    assert [found.night_id for found in claims] == [night.id]


@both_databases
def test_finished_night_allows_another(session: Session, night: Night) -> None:
    assert finish_night(session, claim(session), Outcome.NOTHING, "too few")
    assert not has_waiting_night(session)
    assert request_night(session, user_id=None).id != night.id
    session.refresh(night)
    assert [found.outcome for found in list_nights(session).items] == [None, Outcome.NOTHING]


@both_databases
def test_lost_claim_writes_nothing(session: Session, night: Night) -> None:
    first = claim(session)
    lapse(session)
    assert has_waiting_night(session)
    second = claim(session)
    assert not extend(session, first)
    assert not update_night(session, first, progress="too late")
    assert not finish_night(session, first, Outcome.PROMOTED, "too late")
    release_night(session, first)
    assert update_night(session, second, progress="current")
    found = the_night(session)
    assert (found.progress, found.outcome, found.leased_by) == ("current", None, second.holder)


@both_databases
def test_night_fails_after_too_many_attempts(session: Session, night: Night) -> None:
    for _ in range(3):
        assert not fail_exhausted_night(session, max_attempts=3)
        begin_stage(session, claim(session), "training")
        lapse(session)
    assert claim_night(session, max_attempts=3) is None
    assert fail_exhausted_night(session, max_attempts=3)
    found = the_night(session)
    assert (found.outcome, found.reason) == (Outcome.FAILED, "failed after 3 attempts; see the log")


@both_databases
def test_new_stage_resets_the_attempts(session: Session, night: Night) -> None:
    for _ in range(2):
        begin_stage(session, claim(session), "training")
        lapse(session)
    last = claim(session)
    assert begin_stage(session, last, "evaluation")
    assert the_night(session).attempts == 1


@both_databases
def test_released_night_costs_no_attempt(session: Session, night: Night) -> None:
    release_night(session, claim(session))
    assert the_night(session).attempts == 0
    release_night(session, claim(session), count_attempt=True)
    assert has_waiting_night(session)
    assert the_night(session).attempts == 1


def test_night_is_free_again_after_the_clock_was_set_back(session: Session, night: Night) -> None:
    first = claim(session)
    session.execute(update(Night).values(leased_until=now() + timedelta(days=1)))
    assert has_waiting_night(session)
    second = claim(session)
    assert not extend(session, first)
    assert extend(session, second)
    assert not has_waiting_night(session)


def test_cancelled_waiting_night_ends(session: Session, night: Night) -> None:
    cancel_night(session, night.id)
    assert the_night(session).outcome == Outcome.CANCELLED


def test_cancelled_running_night_is_ended_by_its_worker(session: Session, night: Night) -> None:
    held = claim(session)
    assert not is_cancelled(session, held)
    cancel_night(session, night.id)
    assert is_cancelled(session, held)
    assert the_night(session).outcome is None


BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        ("2026-11-20 12:00", "2026-11-20 01:00"),  # winter: an hour ahead of UTC
        ("2026-11-20 00:59", "2026-11-19 01:00"),
        ("2026-07-01 12:00", "2026-07-01 00:00"),  # summer: two
        ("2026-03-29 12:00", "2026-03-29 01:00"),  # 02:00 does not exist: an hour later
        ("2026-10-25 12:00", "2026-10-25 00:00"),  # 02:00 comes twice: the first
    ],
)
def test_night_is_due_at_local_time(moment: str, due: str) -> None:
    assert last_due(utc(moment), at="02:00", time_zone=BERLIN) == utc(due)


@given(
    moment=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    hour=st.integers(0, 23),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_nights_follow_each_other_about_a_day_apart(moment: datetime, hour: int, zone: str) -> None:
    at = f"{hour:02}:00"
    due = last_due(moment, at=at, time_zone=zone)
    following = next_due(moment, Settings(night_at=at, time_zone=zone))
    assert following is not None
    assert due <= moment < following
    assert timedelta(hours=22) <= following - due <= timedelta(hours=26)


def test_time_zone_of_the_machine_is_the_default() -> None:
    moment = datetime(2026, 11, 20, 12).astimezone()
    expected = datetime(2026, 11, 20, 2).astimezone()
    assert last_due(moment, at="02:00", time_zone="") == expected


def install(session: Session, moment: str) -> None:
    a_version(session)
    session.execute(update(ModelAlias).values(created_at=utc(moment)))


def begin(session: Session, moment: str, *, night_at: str = "02:00") -> bool:
    """As the sweeper does."""
    settings = Settings(night_at=night_at, time_zone=BERLIN)
    return begin_due_night(session, settings, moment=utc(moment))


def end_all(session: Session) -> int:
    session.execute(update(Night).values(is_open=None, stage="done"))
    return count_rows(session, Night)


def test_new_installation_waits_for_its_first_night(session: Session) -> None:
    install(session, "2026-11-20 08:00")
    assert not begin(session, "2026-11-20 08:01")
    assert not begin(session, "2026-11-21 00:59")
    assert begin(session, "2026-11-21 01:00")


def test_new_installation_waits_though_the_clock_of_its_sweeper_is_slightly_behind(
    session: Session,
) -> None:
    install(session, "2026-11-20 08:00")
    assert not begin(session, "2026-11-20 07:59")


@both_databases
def test_missed_nights_are_caught_up_once(session: Session) -> None:
    install(session, "2026-11-20 08:00")
    assert begin(session, "2026-11-25 09:00")
    assert not begin(session, "2026-11-25 09:00:10"), "it is open"
    assert end_all(session) == 1
    assert not begin(session, "2026-11-25 23:00")
    assert begin(session, "2026-11-26 01:00")
    assert end_all(session) == 2


def test_requested_night_delays_the_scheduled_one(session: Session) -> None:
    install(session, "2026-11-20 08:00")
    session.add(Night(stage="training"))
    assert not begin(session, "2026-11-21 01:00")
    end_all(session)
    assert begin(session, "2026-11-21 01:10")


def test_nights_go_on_after_a_clock_of_the_future_was_set_back(session: Session) -> None:
    install(session, "2027-11-20 08:00")
    assert begin(session, "2027-11-25 09:00")
    assert end_all(session) == 1
    assert begin(session, "2026-11-25 09:00")
    assert end_all(session) == 2
    assert not begin(session, "2026-11-25 23:00")
    assert begin(session, "2026-11-26 01:00")


def test_no_night_is_due_when_switched_off(session: Session) -> None:
    install(session, "2026-11-20 08:00")
    assert not begin(session, "2026-11-25 09:00", night_at="")
    assert next_due(utc("2026-11-25 09:00"), Settings(night_at="")) is None
