"""The night comes once a date at its local time; missed ones are made up for by one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from models.config.settings import Settings
from models.learning.nights import begin_due_night, last_due, next_due
from models.tables.intake import ModelAlias
from models.tables.learning import Night
from tests.support.data.rows import a_version
from tests.support.servers.databases import Database, both_databases

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
def test_due_at_local_time(moment: str, due: str) -> None:
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


def test_this_machines_own_time_zone_is_the_default() -> None:
    moment = datetime(2026, 11, 20, 12).astimezone()
    expected = datetime(2026, 11, 20, 2).astimezone()
    assert last_due(moment, at="02:00", time_zone="") == expected


@pytest.fixture
def berlin() -> Settings:
    return Settings(night_at="02:00", time_zone=BERLIN)


def install(database: Database, moment: str) -> None:
    with database.sessions.begin() as session:
        a_version(session)
        session.execute(update(ModelAlias).values(created_at=utc(moment)))


def begin(database: Database, settings: Settings, moment: str) -> bool:
    """As the sweeper does; an open night is ended so that the next may come."""
    with database.sessions.begin() as session:
        return begin_due_night(session, settings, moment=utc(moment))


def end_all(database: Database) -> int:
    with database.sessions.begin() as session:
        session.execute(update(Night).values(is_open=None, stage="done"))
        return session.scalar(select(func.count()).select_from(Night)) or 0


def test_a_new_installation_waits_for_its_first_night(database: Database, berlin: Settings) -> None:
    install(database, "2026-11-20 08:00")
    assert not begin(database, berlin, "2026-11-20 08:01")
    assert not begin(database, berlin, "2026-11-21 00:59")
    assert begin(database, berlin, "2026-11-21 01:00")


@both_databases
def test_missed_nights_are_caught_up_once(database: Database, berlin: Settings) -> None:
    install(database, "2026-11-20 08:00")
    assert begin(database, berlin, "2026-11-25 09:00")
    assert not begin(database, berlin, "2026-11-25 09:00:10"), "it is open"
    assert end_all(database) == 1
    assert not begin(database, berlin, "2026-11-25 23:00")
    assert begin(database, berlin, "2026-11-26 01:00")
    assert end_all(database) == 2


def test_one_that_a_person_asked_for_delays_the_scheduled_one(
    database: Database, berlin: Settings
) -> None:
    install(database, "2026-11-20 08:00")
    with database.sessions.begin() as session:
        session.add(Night(stage="training"))
    assert not begin(database, berlin, "2026-11-21 01:00")
    end_all(database)
    assert begin(database, berlin, "2026-11-21 01:10")


def test_switched_off(database: Database) -> None:
    install(database, "2026-11-20 08:00")
    off = Settings(night_at="")
    assert not begin(database, off, "2026-11-25 09:00")
    assert next_due(utc("2026-11-25 09:00"), off) is None
