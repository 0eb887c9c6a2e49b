"""Wrong passwords lock a name for a while, whether or not anyone has it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import func, select, update

from models.base import now
from models.people.logins import begin_attempt, forgive_attempts, name_hash
from models.tables.people import Lockout
from tests.support.servers.databases import Database, both_databases

FAILURES, LOCKOUT = 3, timedelta(minutes=15)
OLGA = name_hash("olga", key="a key")


def attempt(database: Database, hashed: str = OLGA) -> bool:
    with database.sessions.begin() as session:
        return begin_attempt(session, hashed, failures=FAILURES, lockout=LOCKOUT)


def pass_time(database: Database, passed: timedelta) -> None:
    with database.sessions.begin() as session:
        row = session.get_one(Lockout, OLGA)
        row.failed_at -= passed
        if row.locked_until is not None:
            row.locked_until -= passed


def test_so_many_wrong_ones_and_no_more(database: Database) -> None:
    assert [attempt(database) for _ in range(5)] == [True, True, True, False, False]
    assert attempt(database, name_hash("oleg", key="a key"))


@both_databases
def test_of_many_at_once_no_more_get_through(database: Database) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(lambda _: attempt(database), range(16))) == FAILURES


@both_databases
def test_it_is_over_after_its_time_and_not_before(database: Database) -> None:
    for _ in range(FAILURES):
        attempt(database)
    pass_time(database, LOCKOUT - timedelta(seconds=20))
    assert not attempt(database)
    pass_time(database, timedelta(seconds=30))
    assert [attempt(database) for _ in range(4)] == [True, True, True, False]


def test_a_right_one_in_between_begins_anew(database: Database) -> None:
    for _ in range(2):
        assert [attempt(database) for _ in range(2)] == [True, True]
        with database.sessions.begin() as session:
            forgive_attempts(session, OLGA)


def test_wrong_ones_of_long_ago_do_not_count(database: Database) -> None:
    assert [attempt(database) for _ in range(2)] == [True, True]
    pass_time(database, LOCKOUT + timedelta(seconds=1))
    assert [attempt(database) for _ in range(4)] == [True, True, True, False]


def test_the_table_keeps_no_names_and_nothing_for_long(database: Database) -> None:
    attempt(database)
    with database.sessions.begin() as session:
        session.execute(update(Lockout).values(failed_at=now() - timedelta(days=2)))
    attempt(database, name_hash("a password typed for a name", key="a key"))
    with database.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Lockout)) == 1
        (row,) = session.scalars(select(Lockout))
    assert len(row.name_hash) == 64
    assert row.name_hash != name_hash("a password typed for a name", key="another key")


def test_names_are_the_same_however_they_are_written() -> None:
    assert name_hash(" Olga ", key="a key") == OLGA
