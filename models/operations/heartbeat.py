"""Heartbeats: each process keeps a row that says when it was seen and what it cannot do."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from models.base import UtcDateTime
from models.query import insert_new, update_rows
from models.session import Sessions
from models.tables.workers import Problem, Worker

ROLES = ("ingest", "predict")  # without one of each, images wait
INTERVAL_S = 5.0
LATE_AFTER_S = 25.0  # senders hear of it within half a minute
FORGOTTEN_AFTER = timedelta(days=1)
NO_HEARTBEAT = "no-heartbeat"


@dataclass(frozen=True)
class Vitals:
    """What a worker's tasks came to. failures: in a row."""

    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    failures: int = 0
    problem: Problem | None = None
    problem_since: datetime | None = None


def record_heartbeat(
    session: Session, role: str, *, name: str = "", vitals: Vitals | None = None
) -> None:
    """name: of the process, by default role@host."""
    name = name or f"{role}@{socket.gethostname()}"
    row = {"role": role, "seen_at": _moment(session), **vars(vitals or Vitals())}
    if not update_rows(session, Worker, Worker.name == name, **row):
        insert_new(session, Worker, [row | {"name": name}])


def probe_writes(sessions: Sessions, role: str) -> None:
    """Commit a row as a heartbeat does: a full disk and a standby show only then."""
    with sessions.begin() as session:
        record_heartbeat(session, role)


def forget_workers(session: Session) -> None:
    """Those that have not been seen for a day: a container has another name after each start."""
    session.execute(delete(Worker).where(Worker.seen_at < _moment(session) - FORGOTTEN_AFTER))


def workers(session: Session) -> Sequence[Worker]:
    """Of the roles without which images wait, those seen last first."""
    found = select(Worker).where(Worker.role.in_(ROLES)).order_by(Worker.seen_at.desc())
    return session.scalars(found).all()


def alive_workers(session: Session) -> list[Worker]:
    """A heartbeat of the future was written before the clock was set back, which proves nothing."""
    moment, late = _moment(session), timedelta(seconds=LATE_AFTER_S)
    return [one for one in workers(session) if abs(moment - one.seen_at) < late]


def problems(session: Session) -> dict[str, str]:
    """By role, why no worker of it can work; empty if one can."""
    alive = alive_workers(session)
    return {role: _problem([one for one in alive if one.role == role]) for role in ROLES}


def _moment(session: Session) -> datetime:
    """By the database's clock, since those of the workers' machines differ by more than a beat."""
    return session.scalars(select(func.now(type_=UtcDateTime()))).one()


def _problem(alive: Sequence[Worker]) -> str:
    if not alive:
        return NO_HEARTBEAT
    return min((worker.problem or "" for worker in alive), key=bool)
