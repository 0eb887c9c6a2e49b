"""A login counts until it is ended, expires, or its user's logins are ended all at once."""

from datetime import timedelta

from sqlalchemy import func, select

from models.people.logins import (
    begin_login,
    delete_expired_logins,
    end_login,
    find_login,
    list_logins,
)
from models.people.users import end_logins
from models.tables.people import Login, User
from tests.support.data.rows import a_user
from tests.support.servers.databases import Database

HOUR = timedelta(hours=1)


def log_in(database: Database, *, name: str = "olga", lasts: timedelta = HOUR) -> str:
    with database.sessions.begin() as session:
        user = a_user(session, name=name)
        session.refresh(user)
        return begin_login(session, user, lasts=lasts)


def names(database: Database, *secrets: str) -> list[str | None]:
    with database.sessions() as session:
        found = [find_login(session, secret) for secret in secrets]
    return [login.user.name if login else None for login in found]


def test_each_is_ended_alone(database: Database) -> None:
    first, second = log_in(database), log_in(database)
    with database.sessions.begin() as session:
        end_login(session, first)
        end_login(session, "no login's secret")
    assert names(database, first, second, "no login's secret") == [None, "olga", None]


def test_a_users_are_ended_at_once_and_nobody_elses(database: Database) -> None:
    first, second, other = log_in(database), log_in(database), log_in(database, name="ivan")
    with database.sessions.begin() as session:
        end_logins(a_user(session))
    assert names(database, first, second, other) == [None, None, "ivan"]
    assert names(database, log_in(database)) == ["olga"]


def test_whose_logins_ended_while_they_were_let_in_is_out(database: Database) -> None:
    """A password is checked, then changed elsewhere, and only then the login begins."""
    with database.sessions.begin() as session:
        let_in = a_user(session)
    with database.sessions.begin() as session:
        end_logins(session.get_one(User, let_in.id))
    with database.sessions.begin() as session:
        secret = begin_login(session, let_in, lasts=HOUR)
    assert names(database, secret) == [None]


def test_the_database_keeps_no_secret(database: Database) -> None:
    secret = log_in(database)
    with database.sessions() as session:
        row = session.scalars(select(Login)).one()
    assert secret not in map(str, vars(row).values())


def test_expired_ones_count_no_longer_and_are_deleted(database: Database) -> None:
    expired, alive = log_in(database, lasts=-HOUR), log_in(database)
    assert names(database, expired, alive) == [None, "olga"]
    with database.sessions.begin() as session:
        assert len(list_logins(session, user_id=a_user(session).id)) == 1
        delete_expired_logins(session)
        assert session.scalar(select(func.count()).select_from(Login)) == 1


def test_who_was_shut_out_is_out_in_every_browser(database: Database) -> None:
    secret = log_in(database)
    with database.sessions.begin() as session:
        a_user(session).is_active = False
    assert names(database, secret) == [None]
