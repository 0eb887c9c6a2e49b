"""Logins end alone, all at once or by time; wrong passwords lock a name for a while."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.base import now
from models.people.logins import (
    begin_attempt,
    begin_login,
    delete_expired_logins,
    end_login,
    find_login,
    forgive_attempts,
    list_logins,
    name_hash,
    note_activity,
)
from models.people.users import end_logins
from models.query import count_rows
from models.tables.people import Lockout, Login, User
from tests.support.data.rows import a_user
from tests.support.servers.databases import Database, both_databases

HOUR = timedelta(hours=1)


def log_in(session: Session, *, name: str = "olga", lasts: timedelta = HOUR) -> str:
    user = a_user(session, name=name)
    session.flush()
    session.refresh(user)
    return begin_login(session, user, lasts=lasts)


def names(session: Session, *secrets: str) -> list[str | None]:
    found = [find_login(session, secret, idle=HOUR) for secret in secrets]
    return [login.user.name if login else None for login in found]


def test_end_login_ends_only_one(session: Session) -> None:
    first, second = log_in(session), log_in(session)
    end_login(session, first)
    end_login(session, "no login's secret")
    assert names(session, first, second, "no login's secret") == [None, "olga", None]


def test_end_logins_ends_all_of_one_user(session: Session) -> None:
    first, second, other = log_in(session), log_in(session), log_in(session, name="ivan")
    end_logins(a_user(session))
    assert names(session, first, second, other) == [None, None, "ivan"]
    later = log_in(session)
    assert names(session, later) == ["olga"]
    end_logins(a_user(session))
    assert names(session, later) == [None]


def test_login_begun_before_end_logins_is_invalid(database: Database) -> None:
    """A password is checked, then changed elsewhere, and only then the login begins."""
    with database.sessions.begin() as session:
        let_in = a_user(session)
    with database.sessions.begin() as session:
        end_logins(session.get_one(User, let_in.id))
    with database.sessions.begin() as session:
        secret = begin_login(session, let_in, lasts=HOUR)
        assert names(session, secret) == [None]


def test_login_table_keeps_no_secret(session: Session) -> None:
    secret = log_in(session)
    row = session.execute(select(*Login.__table__.columns)).one()
    assert secret not in map(str, row)


def test_expired_logins_are_invalid_and_deleted(session: Session) -> None:
    expired, alive = log_in(session, lasts=-HOUR), log_in(session)
    assert names(session, expired, alive) == [None, "olga"]
    assert len(list_logins(session, user_id=a_user(session).id, idle=HOUR)) == 1
    delete_expired_logins(session)
    assert count_rows(session, Login) == 1


@pytest.mark.parametrize("passed", [HOUR, timedelta(days=1), timedelta(days=-1)])
def test_idle_logins_are_invalid_also_after_a_clock_was_set_back(
    session: Session, passed: timedelta
) -> None:
    idle, used = log_in(session), log_in(session)
    session.execute(update(Login).values(seen_at=now() - passed, expires_at=now() + HOUR))
    note_activity(session, used)
    assert names(session, idle, used) == [None, "olga"]


def test_deactivated_user_is_logged_out_everywhere(session: Session) -> None:
    secret = log_in(session)
    a_user(session).is_active = False
    assert names(session, secret) == [None]


FAILURES, LOCKOUT = 3, timedelta(minutes=15)
OLGA = name_hash("olga", key="a key")


def attempt(session: Session, hashed: str = OLGA) -> bool:
    return begin_attempt(session, hashed, failures=FAILURES, lockout=LOCKOUT)


@pytest.mark.parametrize("days", [1, 400])
def test_lock_out_ends_after_the_clock_was_set_back(session: Session, days: int) -> None:
    for _ in range(FAILURES + 1):
        attempt(session)
    pass_time(session, timedelta(days=-days))
    assert [attempt(session) for _ in range(4)] == [True, True, True, False]


def pass_time(session: Session, passed: timedelta) -> None:
    row = session.get_one(Lockout, OLGA, populate_existing=True)
    row.failed_at -= passed
    if row.locked_until is not None:
        row.locked_until -= passed


def test_name_is_locked_after_the_configured_failures(session: Session) -> None:
    assert [attempt(session) for _ in range(5)] == [True, True, True, False, False]
    assert attempt(session, name_hash("oleg", key="a key"))


@both_databases
def test_concurrent_attempts_count_too(database: Database) -> None:
    def try_once(_: int) -> bool:
        with database.sessions.begin() as session:
            return attempt(session)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(try_once, range(16))) == FAILURES


@both_databases
def test_lockout_ends_after_its_time(session: Session) -> None:
    for _ in range(FAILURES):
        attempt(session)
    pass_time(session, LOCKOUT - timedelta(seconds=20))
    assert not attempt(session)
    pass_time(session, timedelta(seconds=30))
    assert [attempt(session) for _ in range(4)] == [True, True, True, False]


def test_right_password_resets_the_count(session: Session) -> None:
    for _ in range(2):
        assert [attempt(session) for _ in range(2)] == [True, True]
        forgive_attempts(session, OLGA)


def test_old_failures_do_not_count(session: Session) -> None:
    assert [attempt(session) for _ in range(2)] == [True, True]
    pass_time(session, LOCKOUT + timedelta(seconds=1))
    assert [attempt(session) for _ in range(4)] == [True, True, True, False]


def test_lockout_table_keeps_no_names_and_no_old_rows(session: Session) -> None:
    attempt(session)
    session.execute(update(Lockout).values(failed_at=now() - timedelta(days=2)))
    attempt(session, name_hash("a password typed for a name", key="a key"))
    (row,) = session.scalars(select(Lockout))
    assert len(row.name_hash) == 64
    assert row.name_hash != name_hash("a password typed for a name", key="another key")


def test_name_hash_ignores_case_and_composition() -> None:
    assert name_hash(" Olga ", key="a key") == OLGA
