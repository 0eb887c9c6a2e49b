"""Users and what stands for them: tokens, and links that work once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.base import now
from models.people.tokens import (
    find_api_token,
    invited_users,
    issue_token,
    list_api_tokens,
    revoke_api_token,
    revoke_tokens,
    use_link,
    user_of_link,
)
from models.people.users import UserRefusedError, add_user, change_role, deactivate
from models.tables.people import Role, Token, User
from tests.support.data.rows import a_user
from tests.support.servers.databases import Database


def test_api_token_is_kept_as_a_digest_and_can_be_used_repeatedly(session: Session) -> None:
    token = issue_token(session, user=a_user(session), kind="api")
    (digest,) = session.scalars(select(Token.digest))
    assert token not in digest
    assert len(digest) == 64
    for _ in range(2):
        found = find_api_token(session, token)
        assert found is not None
        assert found.user is a_user(session)


def test_login_link_works_once_under_concurrency(database: Database) -> None:
    with database.sessions.begin() as session:
        token = issue_token(session, user=a_user(session), kind="login")

    def log_in(_: int) -> bool:
        with database.sessions.begin() as session:
            return use_link(session, token, "login") is not None

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(log_in, range(10))) == 1


def test_invalid_tokens_are_refused(session: Session) -> None:
    user = a_user(session)
    valid = issue_token(session, user=user, kind="api")
    expired = issue_token(session, user=user, kind="api", lifetime=timedelta(seconds=-1))
    login = issue_token(session, user=user, kind="login", lifetime=timedelta(minutes=5))
    for token in (expired, login, "invented"):
        assert find_api_token(session, token) is None
    assert use_link(session, login, "login") is not None
    user.is_active = False
    session.flush()
    assert find_api_token(session, valid) is None, "of a deactivated user"


def test_revoke_api_token_leaves_others(session: Session) -> None:
    user, other = a_user(session), a_user(session, name="oleg")
    first, second = (issue_token(session, user=user, kind="api", name=n) for n in "ab")
    issue_token(session, user=other, kind="api")
    newest, oldest = list_api_tokens(session, user_id=user.id)
    assert (newest.name, oldest.name) == ("b", "a")
    assert not revoke_api_token(session, token_id=oldest.id, user_id=other.id)
    assert revoke_api_token(session, token_id=oldest.id, user_id=user.id)
    assert not revoke_api_token(session, token_id=oldest.id, user_id=user.id)
    assert find_api_token(session, first) is None
    assert find_api_token(session, second) is not None
    assert len(list_api_tokens(session, user_id=user.id)) == 1


def test_revoke_tokens_by_kind(session: Session) -> None:
    user = a_user(session)
    invitation = issue_token(session, user=user, kind="invitation")
    token = issue_token(session, user=user, kind="api", role=Role.VIEWER)
    assert user_of_link(session, invitation, "invitation") is not None
    revoke_tokens(session, user_id=user.id, kinds=("invitation",))
    assert user_of_link(session, invitation, "invitation") is None
    assert use_link(session, invitation, "invitation") is None
    found = find_api_token(session, token)
    assert found is not None
    assert (found.user.name, found.role) == ("olga", Role.VIEWER)


def test_link_of_the_future_is_void_and_a_token_is_not(session: Session) -> None:
    """After the clock was set back by a day they would live a day longer."""
    user, day = a_user(session), timedelta(days=1)
    link = issue_token(session, user=user, kind="login", lifetime=day)
    token = issue_token(session, user=user, kind="api", lifetime=day)
    session.execute(update(Token).values(created_at=now() + day, expires_at=now() + 2 * day))
    assert use_link(session, link, "login") is None
    assert find_api_token(session, token) is not None


def test_invited_users_have_an_open_invitation(session: Session) -> None:
    names = ("waits", "came", "too late", "by a token")
    users = {name: a_user(session, name=name) for name in names}
    issue_token(session, user=users["waits"], kind="invitation")
    came = issue_token(session, user=users["came"], kind="invitation")
    assert use_link(session, came, "invitation") is not None
    late = timedelta(seconds=-1)
    issue_token(session, user=users["too late"], kind="invitation", lifetime=late)
    issue_token(session, user=users["by a token"], kind="api")
    assert invited_users(session) == {users["waits"].id}


def test_two_admins_cannot_deactivate_each_other_concurrently(database: Database) -> None:
    with database.sessions.begin() as session:
        users = [a_user(session, name=name, role=Role.ADMIN).id for name in ("ada", "adam")]

    def put_out(user_id: int) -> bool:
        with database.sessions.begin() as session:
            try:
                deactivate(session, session.get_one(User, user_id))
            except UserRefusedError:
                return False
            return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(put_out, users)) == [False, True]


def test_last_admin_cannot_be_removed(session: Session) -> None:
    ada, adam = (a_user(session, name=name, role=Role.ADMIN) for name in ("ada", "adam"))
    change_role(session, ada, Role.READER)
    session.flush()
    with pytest.raises(UserRefusedError, match="last admin"):
        change_role(session, adam, Role.OPERATOR)
    change_role(session, adam, Role.ADMIN)
    deactivate(session, ada)


def test_add_user_stores_the_normal_name(session: Session) -> None:
    assert add_user(session, name=" Jürgen.K ", role=Role.READER).name == "jürgen.k"
    with pytest.raises(UserRefusedError, match="taken"):
        add_user(session, name="JU\u0308RGEN.K", role=Role.READER)
