"""Tokens stand for users; a login link works once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import select

from models.tables import Token
from models.tokens import issue_token, user_of_token
from tests.databases import Database
from tests.rows import a_user


def test_an_api_token_works_again_and_again(database: Database) -> None:
    with database.sessions.begin() as session:
        token = issue_token(session, user=a_user(session), kind="api")
    for _ in range(2):
        with database.sessions() as session:
            user = user_of_token(session, token, "api")
            assert user is not None
            assert user.name == "olga"


def test_only_the_digest_is_kept(database: Database) -> None:
    with database.sessions.begin() as session:
        token = issue_token(session, user=a_user(session), kind="api")
        (digest,) = session.scalars(select(Token.digest))
    assert token not in digest
    assert len(digest) == 64


def test_of_many_who_follow_one_login_link_one_gets_in(database: Database) -> None:
    with database.sessions.begin() as session:
        token = issue_token(session, user=a_user(session), kind="login")

    def log_in(_: int) -> bool:
        with database.sessions.begin() as session:
            return user_of_token(session, token, "login") is not None

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(log_in, range(10))) == 1


def test_expired_foreign_and_invented_tokens_do_not_work(database: Database) -> None:
    with database.sessions.begin() as session:
        user = a_user(session)
        expired = issue_token(session, user=user, kind="api", lifetime=timedelta(seconds=-1))
        login = issue_token(session, user=user, kind="login", lifetime=timedelta(minutes=5))
        assert user_of_token(session, expired, "api") is None
        assert user_of_token(session, login, "api") is None
        assert user_of_token(session, "invented", "api") is None
        assert user_of_token(session, login, "login") is not None


def test_a_user_who_was_shut_out_stays_out(database: Database) -> None:
    with database.sessions.begin() as session:
        user = a_user(session)
        token = issue_token(session, user=user, kind="api")
        user.is_active = False
        session.flush()
        assert user_of_token(session, token, "api") is None
