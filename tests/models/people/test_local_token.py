"""The local token is replaced at each start and each day; of old and new one is always valid."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select

from models.base import now
from models.config.secrets import local_token_path
from models.people.local_token import (
    LIFETIME,
    keep_local_token,
    renew_local_token,
)
from models.people.tokens import find_api_token, issue_token
from models.tables.people import Role, Token
from tests.support.data.rows import a_user
from tests.support.servers.databases import Database


def is_valid(database: Database, token: str) -> bool:
    with database.sessions() as session:
        return find_api_token(session, token) is not None


@pytest.fixture
def data_dir(database: Database) -> Path:
    """Of a service whose admin has a token of an earlier release, and another one."""
    folder = database.settings.data_dir
    folder.mkdir(exist_ok=True)
    with database.sessions.begin() as session:
        admin = a_user(session, name="admin", role=Role.ADMIN)
        old = issue_token(session, user=admin, kind="api")
    local_token_path(folder).write_text(old)
    return folder


def kept(data_dir: Path) -> str:
    return local_token_path(data_dir).read_text().strip()


def test_renewal_revokes_all_earlier_local_tokens(database: Database, data_dir: Path) -> None:
    first = kept(data_dir)
    with database.sessions.begin() as session:
        admin, other = a_user(session, name="admin"), a_user(session, name="x")
        own = issue_token(session, user=admin, kind="api", lifetime=timedelta(days=7))
        others = issue_token(session, user=other, kind="api")
    renew_local_token(database.sessions, data_dir)
    second = kept(data_dir)
    renew_local_token(database.sessions, data_dir)
    tokens = (first, second, kept(data_dir), own, others)
    assert [is_valid(database, token) for token in tokens] == [False, False, True, True, True]
    assert local_token_path(data_dir).stat().st_mode & 0o777 == 0o600


def test_renewal_beside_another_one_leaves_a_valid_token(
    database: Database, data_dir: Path
) -> None:
    """The first one pauses before it revokes; meanwhile the second one would be done."""
    before, paused, second_is_done = kept(data_dir), threading.Event(), threading.Event()

    def pause_first(*_: object) -> None:
        if kept(data_dir) != before and not paused.is_set():
            paused.set()
            second_is_done.wait(0.5)

    event.listen(database.engine, "checkout", pause_first)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(renew_local_token, database.sessions, data_dir)
        assert paused.wait(10)
        second = threads.submit(renew_local_token, database.sessions, data_dir)
        second.add_done_callback(lambda _: second_is_done.set())
    assert (first.result(), second.result()) == (None, None)
    assert is_valid(database, kept(data_dir))


@pytest.mark.parametrize(
    ("passed", "is_renewed"),
    [
        (timedelta(hours=11), False),
        (timedelta(hours=13), True),
        (timedelta(days=1), True),
        (timedelta(days=-1), True),  # the clock was set back
    ],
)
def test_token_is_renewed_in_the_second_half_of_its_life(
    database: Database, data_dir: Path, passed: timedelta, is_renewed: bool
) -> None:
    renew_local_token(database.sessions, data_dir)
    before = kept(data_dir)
    with database.sessions.begin() as session:
        for token in session.scalars(select(Token).where(Token.kind == "local")):
            token.expires_at = now() + LIFETIME - passed
    keep_local_token(database.sessions, data_dir)
    assert (kept(data_dir) != before) == is_renewed
    assert is_valid(database, kept(data_dir))


@pytest.mark.parametrize("damage", ["", "from elsewhere\n", None])
def test_lost_and_foreign_tokens_are_replaced(
    database: Database, data_dir: Path, damage: str | None
) -> None:
    local_token_path(data_dir).unlink()
    if damage is not None:
        local_token_path(data_dir).write_text(damage)
    keep_local_token(database.sessions, data_dir)
    assert is_valid(database, kept(data_dir))
