"""Once an hour the audit is looked at; a break is said loudly, a whole one is anchored."""

import logging

import pytest
from sqlalchemy import update

from models.audit.log import record
from models.audit.verify import newest_check, read_anchors
from models.context import AppContext
from models.operations.heartbeat import is_alive
from models.tables.intake import Audit
from worker.tidy import watch_audit

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_the_hourly_look(context: AppContext, caplog: pytest.LogCaptureFixture) -> None:
    data_dir = context.settings.data_dir
    with context.sessions.begin() as session:
        for number in range(3):
            record(session, user_id=None, action="login.bad", target=str(number))
    watch_audit(context)
    assert list(read_anchors(data_dir)) == [3]
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
    with context.sessions.begin() as session:
        session.execute(update(Audit).where(Audit.id == 2).values(action="login"))
    watch_audit(context)
    assert "BROKEN at row 2" in caplog.text
    assert list(read_anchors(data_dir)) == [3]
    check = newest_check(data_dir)
    assert check is not None
    assert check.broken == 2


def test_a_worker_that_gave_no_sign_is_not_alive(context: AppContext) -> None:
    assert not is_alive(context.settings, "ingest")
