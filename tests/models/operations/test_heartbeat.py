"""Workers of other machines are alive, however far their clocks are off."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from models.base import now
from models.operations.dump import end_work_in_progress
from models.operations.heartbeat import LATE_AFTER_S, ROLES, problems, record_heartbeat, workers
from tests.support.servers.databases import both_databases


@both_databases
@pytest.mark.parametrize("ahead_s", [-40, 40])
def test_heartbeat_counts_by_the_clock_of_the_database(
    session: Session, ahead_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wherever the module might take the time of this machine from.
    off = now() + timedelta(seconds=ahead_s)
    monkeypatch.setattr("models.operations.heartbeat.now", lambda: off, raising=False)
    for role in ROLES:
        record_heartbeat(session, role)
    monkeypatch.undo()
    assert set(problems(session).values()) == {""}
    seen = workers(session)[0].seen_at
    assert abs(now() - seen) < timedelta(seconds=LATE_AFTER_S)


def test_restored_database_knows_no_workers(session: Session) -> None:
    record_heartbeat(session, "predict")
    end_work_in_progress(session)
    assert workers(session) == []
