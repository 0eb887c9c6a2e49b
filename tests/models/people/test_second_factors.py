"""Each code is accepted once; recovery codes are kept as hashes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.base import now
from models.people.second_factors import (
    count_recovery_codes,
    renew_recovery_codes,
    turn_off,
    turn_on,
    use_code,
)
from models.people.totp import code_at, derive_secret, step_at
from models.tables.people import RecoveryCode, User
from tests.support.data.rows import a_user
from tests.support.servers.databases import Database, both_databases

KEY, NONCE = "a key", "a nonce"


def a_user_with_factor(session: Session) -> tuple[User, list[str]]:
    """Whose last code was that of the step before the last one."""
    user = a_user(session, name="olga")
    codes = turn_on(session, user, nonce=NONCE, step=step_at(now()) - 2)
    session.flush()
    return user, codes


def code(apart: int = 0, *, key: str = KEY) -> str:
    return code_at(derive_secret(NONCE, key=key), step_at(now()) + apart)


def test_code_is_accepted_once_and_so_are_not_earlier_ones(session: Session) -> None:
    user, _ = a_user_with_factor(session)
    earlier, present = code(-1), code()
    assert use_code(session, user, present, key="another key") is None
    assert use_code(session, user, f" {present[:3]} {present[3:]}", key=KEY) == "code"
    assert use_code(session, user, present, key=KEY) is None
    assert use_code(session, user, earlier, key=KEY) is None
    assert use_code(session, user, code(1), key=KEY) == "code"


@both_databases
def test_of_two_requests_with_one_code_one_succeeds(database: Database) -> None:
    with database.sessions.begin() as session:
        user, _ = a_user_with_factor(session)
    present = code()

    def try_once(_: int) -> str | None:
        with database.sessions.begin() as session:
            return use_code(session, user, present, key=KEY)

    with ThreadPoolExecutor(8) as threads:
        assert sum(how == "code" for how in threads.map(try_once, range(8))) == 1


@pytest.mark.parametrize("stepped", [timedelta(days=1), timedelta(days=-1)])
def test_codes_work_after_a_clock_has_been_set(
    session: Session, monkeypatch: pytest.MonkeyPatch, stepped: timedelta
) -> None:
    user, _ = a_user_with_factor(session)
    assert use_code(session, user, code(), key=KEY) == "code"
    later = datetime.now(UTC) + stepped
    monkeypatch.setattr("models.people.second_factors.now", lambda: later)
    then = code_at(derive_secret(NONCE, key=KEY), step_at(later))
    assert use_code(session, user, then, key=KEY) == "code"
    assert use_code(session, user, then, key=KEY) is None


def test_recovery_codes_work_once_each_and_are_kept_as_hashes(session: Session) -> None:
    user, codes = a_user_with_factor(session)
    assert len(set(codes)) == 10
    kept = set(session.scalars(select(RecoveryCode.digest)))
    assert not kept & {plain.replace("-", "") for plain in codes}
    assert use_code(session, user, codes[0].upper().replace("-", " "), key=KEY) == "recovery code"
    assert use_code(session, user, codes[0], key=KEY) is None
    assert count_recovery_codes(session, user.id) == 9
    other = a_user(session, name="ivan")
    turn_on(session, other, nonce="another", step=1)
    assert use_code(session, other, codes[1], key=KEY) is None


def test_new_recovery_codes_replace_earlier_ones(session: Session) -> None:
    user, codes = a_user_with_factor(session)
    newer = renew_recovery_codes(session, user)
    assert use_code(session, user, codes[0], key=KEY) is None
    assert use_code(session, user, newer[0], key=KEY) == "recovery code"


def test_turned_off_factor_accepts_nothing(session: Session) -> None:
    user, codes = a_user_with_factor(session)
    turn_off(session, user)
    assert use_code(session, user, code(), key=KEY) is None
    assert use_code(session, user, codes[0], key=KEY) is None
    assert count_recovery_codes(session, user.id) == 0
