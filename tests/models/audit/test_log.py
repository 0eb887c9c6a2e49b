"""The audit chain shows changes to it."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE
from threading import Barrier

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from models.audit import verify as audit_verify
from models.audit.log import Sealed, chain_older, digest_of, record
from models.audit.verify import (
    ANCHORS_FILE,
    Anchor,
    Check,
    check_audit,
    copy_anchors,
    newest_check,
    read_anchors,
    verify,
)
from models.base import now
from models.tables.intake import Audit, AuditAnchor
from tests.support.data.rows import a_user
from tests.support.servers.databases import Database, both_databases
from tests.support.servers.processes import ROOT, environment

ROWS = 12


@pytest.fixture
def recorded(session: Session) -> Session:
    record_rows(session)
    return session


def record_rows(session: Session) -> None:
    user = a_user(session)
    for number in range(ROWS):
        record(session, user_id=user.id, action="study.viewed", target=str(number))


def _alter(session: Session) -> None:
    session.execute(update(Audit).where(Audit.id == 5).values(target="another"))


def _alter_time(session: Session) -> None:
    later = now() + timedelta(hours=1)
    session.execute(update(Audit).where(Audit.id == 5).values(created_at=later))


def _delete(session: Session) -> None:
    session.execute(delete(Audit).where(Audit.id == 4))


def _insert(session: Session) -> None:
    """In place of a row that is moved to the end."""
    session.execute(update(Audit).where(Audit.id == 5).values(id=ROWS + 1))
    session.flush()
    session.add(Audit(id=5, user_id=1, action="login", target="", digest="0" * 64))


def _swap(session: Session) -> None:
    for was, becomes in ((5, 100), (6, 5), (100, 6)):
        session.execute(update(Audit).where(Audit.id == was).values(id=becomes))


def _unseal(session: Session) -> None:
    session.execute(update(Audit).where(Audit.id == 5).values(digest=None))


@both_databases
@pytest.mark.parametrize("tamper", [_alter, _alter_time, _delete, _insert, _swap, _unseal])
def test_verify_finds_the_row_that_was_tampered_with(
    recorded: Session, tamper: Callable[[Session], None]
) -> None:
    tamper(recorded)
    check = verify(recorded)
    assert not check.is_intact
    assert check.broken == 5
    assert (check.rows, check.last_id) == ((3, 3) if tamper is _delete else (4, 4))


def test_verify_finds_a_forged_last_row(recorded: Session) -> None:
    recorded.add(Audit(user_id=1, action="login", target="", digest="0" * 64))
    record(recorded, user_id=1, action="logout")
    assert verify(recorded).broken == ROWS + 1


def _cut_off(session: Session) -> None:
    session.execute(delete(Audit).where(Audit.id == ROWS))


def _replace_end(session: Session) -> None:
    _cut_off(session)
    session.add(Audit(id=ROWS + 5, user_id=None, action="login", target="", digest=None))
    session.flush()
    _rewrite(session)


def _alter_and_rewrite(session: Session) -> None:
    _alter(session)
    _rewrite(session)


def _rewrite(session: Session) -> None:
    before = ""
    for row in session.scalars(select(Audit).order_by(Audit.id)):
        what = Sealed(row.user_id, row.action, row.target, row.created_at)
        row.digest = before = digest_of(what, before=before)


KEY = bytes(32)


@pytest.fixture
def audited(database: Database) -> Database:
    """Rows that are committed, since a check reads what others have written."""
    with database.sessions.begin() as session:
        record_rows(session)
    return database


def check_of(database: Database) -> Check:
    return check_audit(database.sessions, database.settings.data_dir, key=KEY)


def add_row(database: Database) -> None:
    with database.sessions.begin() as session:
        record(session, user_id=None, action="login.bad")


@pytest.mark.parametrize(
    ("tamper", "why"),
    [(_cut_off, "is missing"), (_replace_end, "is missing"), (_alter_and_rewrite, "anchored")],
)
def test_anchor_shows_what_the_chain_alone_cannot(
    audited: Database, tamper: Callable[[Session], None], why: str
) -> None:
    check = check_of(audited)
    assert (check.is_intact, check.rows, check.last_id) == (True, ROWS, ROWS)
    with audited.sessions.begin() as session:
        tamper(session)
        assert verify(session).is_intact
    check = check_of(audited)
    assert (check.broken, check.rows) == (ROWS, ROWS - 1)
    assert why in check.why


@both_databases
def test_checks_at_the_same_time_list_one_anchor(
    audited: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, add_anchor = Barrier(4), audit_verify._add_anchor

    def add_with_the_others(data_dir: Path, anchor: Anchor) -> None:
        checks.wait(timeout=30)  # before any of them is read
        add_anchor(data_dir, anchor)
        checks.wait(timeout=30)

    monkeypatch.setattr(audit_verify, "_add_anchor", add_with_the_others)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: check_of(audited), range(4)))
    assert all(check.is_intact for check in found)
    with audited.sessions() as session:
        assert [one.audit_id for one in session.scalars(select(AuditAnchor))] == [ROWS]


def _delete_all(session: Session) -> None:
    session.execute(delete(Audit))


@both_databases
@pytest.mark.parametrize("tamper", [_cut_off, _delete_all, lambda session: None])
def test_deleted_anchors_are_noticed(audited: Database, tamper: Callable[[Session], None]) -> None:
    assert check_of(audited).is_intact
    with audited.sessions.begin() as session:
        tamper(session)
    (audited.settings.data_dir / ANCHORS_FILE).unlink()
    check = check_of(audited)
    assert (check.broken, check.why) == (
        ROWS,
        f"{ANCHORS_FILE} lacks an anchor that was made for this row",
    )


def test_forged_anchor_is_noticed(audited: Database) -> None:
    """By someone who may write database and file, but has no key."""
    check_of(audited)
    with audited.sessions.begin() as session:
        _alter_and_rewrite(session)
        digest = verify(session).last_digest
    file = audited.settings.data_dir / ANCHORS_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"digest": digest}) + "\n")
    check = check_of(audited)
    assert (check.broken, check.why) == (
        ROWS,
        f"the row's anchor in {ANCHORS_FILE} is not the one that was made",
    )


def test_anchors_of_older_releases_are_in_their_file_only(audited: Database) -> None:
    check_of(audited)
    with audited.sessions.begin() as session:
        session.execute(delete(AuditAnchor))
    add_row(audited)
    assert check_of(audited).is_intact
    assert list(read_anchors(audited.settings.data_dir)) == [ROWS, ROWS + 1]


def test_copied_anchors_end_with_the_rows(audited: Database, tmp_path: Path) -> None:
    check_of(audited)
    add_row(audited)
    check_of(audited)
    copy_anchors(audited.settings.data_dir, tmp_path, up_to=ROWS)
    assert list(read_anchors(tmp_path)) == [ROWS]


def test_anchors_are_private_and_added_for_new_rows_only(audited: Database) -> None:
    for _ in range(2):
        check_of(audited)
    add_row(audited)
    check = check_of(audited)
    data_dir = audited.settings.data_dir
    file = data_dir / ANCHORS_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(read_anchors(data_dir)) == [ROWS, ROWS + 1]
    assert list(json.loads(file.read_text().splitlines()[0])) == ["time", "id", "digest"]
    assert newest_check(data_dir) == check


def test_broken_chain_gets_no_anchor(audited: Database) -> None:
    with audited.sessions.begin() as session:
        _alter(session)
    check_of(audited)
    assert not (audited.settings.data_dir / ANCHORS_FILE).exists()


def add_anchor(data_dir: Path, line: str) -> None:
    with (data_dir / ANCHORS_FILE).open("a") as file:
        file.write(line)


def test_unreadable_anchor_fails_the_check(audited: Database) -> None:
    check_of(audited)
    add_anchor(audited.settings.data_dir, "{}\n")
    assert check_of(audited).why == f"{ANCHORS_FILE}, line 2: not an anchor"


def test_incomplete_last_anchor_is_ignored(audited: Database) -> None:
    data_dir = audited.settings.data_dir
    check_of(audited)
    add_anchor(data_dir, '{"time": "20')
    assert check_of(audited).is_intact
    assert list(read_anchors(data_dir)) == [ROWS]
    add_row(audited)
    assert check_of(audited).is_intact
    assert list(read_anchors(data_dir)) == [ROWS, ROWS + 1]


@both_databases
def test_chain_older_adds_digests_only_once(session: Session) -> None:
    session.add_all(Audit(action="login", target=str(number)) for number in range(1500))
    chain_older(session)
    record(session, user_id=None, action="logout")
    assert verify(session).rows == 1501
    _unseal(session)
    chain_older(session)  # no second chance for what lost its seal since
    assert verify(session).broken == 5


def test_record_adds_digests_to_older_rows_first(session: Session) -> None:
    session.add_all(Audit(action="login", target=str(number)) for number in range(3))
    record(session, user_id=None, action="backup.restored")
    check = verify(session)
    assert (check.is_intact, check.rows) == (True, 4)


WRITER = """
from models.audit.log import record
from models.session import make_sessions
from models.config.settings import Settings

sessions = make_sessions(Settings.read())
with sessions() as session:
    session.connection()  # kept by the pool: SQLite may refuse to connect beside writers
print(flush=True)
input()  # until all are connected
for number in range(25):
    with sessions.begin() as session:
        record(session, user_id=None, action="login", target=str(number))
"""


@both_databases
def test_concurrent_processes_record_one_chain(database: Database) -> None:
    command, ours = [sys.executable, "-c", WRITER], environment(database.settings)
    writers = [
        subprocess.Popen(command, cwd=ROOT, env=ours, stdin=PIPE, stdout=PIPE) for _ in range(3)
    ]
    for writer in writers:
        assert writer.stdout.readline() == b"\n"
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    assert [writer.wait(300) for writer in writers] == [0, 0, 0]
    with database.sessions() as session:
        check = verify(session)
    assert (check.is_intact, check.rows) == (True, 75), check.why
