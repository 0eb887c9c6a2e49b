"""The hourly check of the audit."""

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


def test_watch_audit_anchors_an_intact_chain_and_reports_a_broken_one(
    context: AppContext, caplog: pytest.LogCaptureFixture
) -> None:
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
    assert "audit chain verification failed at row 2" in caplog.text
    assert list(read_anchors(data_dir)) == [3]
    check = newest_check(data_dir)
    assert check is not None
    assert check.broken == 2


def test_worker_without_heartbeat_is_not_alive(context: AppContext) -> None:
    assert not is_alive(context.settings, "ingest")
