"""Audit rows for people: filtered by action, person and time, newest first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.orm import Session

from models.audit.log import PAGE_SIZE
from models.query import Page
from models.tables.intake import Audit
from models.tables.people import User


@dataclass(frozen=True)
class AuditRow:
    """person: the user's name; None where nobody was logged in."""

    id: int
    created_at: datetime
    person: str | None
    action: str
    target: str
    digest: str | None


@dataclass(frozen=True)
class AuditFilter:
    """since: inclusive; until: exclusive."""

    action: str | None = None
    person: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def of_days(
    *, action: str | None, person: str | None, first: date | None, last: date | None
) -> AuditFilter:
    """first, last: whole days in UTC, both inclusive."""
    since = datetime.combine(first, time(), UTC) if first else None
    until = datetime.combine(last + timedelta(days=1), time(), UTC) if last else None
    return AuditFilter(action, person, since, until)


def list_audit_page(
    session: Session, chosen: AuditFilter, *, page: int = 1, page_size: int = 100
) -> Page[AuditRow]:
    conditions = _conditions(chosen)
    counted = select(func.count()).select_from(Audit).outerjoin(User).where(*conditions)
    rows = select(*_COLUMNS).outerjoin(User).where(*conditions).order_by(Audit.id.desc())
    found = session.execute(rows.limit(page_size).offset((page - 1) * page_size)).all()
    return Page(_rows(found), page, page_size, session.scalar(counted) or 0)


def iter_audit(session: Session, chosen: AuditFilter) -> Iterator[AuditRow]:
    """Oldest first, a page in memory at a time."""
    query = select(*_COLUMNS).outerjoin(User).where(*_conditions(chosen)).order_by(Audit.id)
    after = 0
    while page := session.execute(query.where(Audit.id > after).limit(PAGE_SIZE)).all():
        yield from _rows(page)
        after = page[-1].id


def audit_actions(session: Session) -> list[str]:
    return list(session.scalars(select(Audit.action).distinct().order_by(Audit.action)))


def audit_people(session: Session) -> list[str]:
    """All users: few, and found without reading every row of the audit."""
    return list(session.scalars(select(User.name).order_by(User.name)))


_COLUMNS = (
    Audit.id,
    Audit.created_at,
    User.name.label("person"),
    Audit.action,
    Audit.target,
    Audit.digest,
)


def _conditions(chosen: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.action:
        conditions.append(Audit.action == chosen.action)
    if chosen.person:
        conditions.append(User.name == chosen.person)
    if chosen.since:
        conditions.append(Audit.created_at >= chosen.since)
    if chosen.until:
        conditions.append(Audit.created_at < chosen.until)
    return conditions


def _rows(found: Sequence[Row[int, datetime, str, str, str, str | None]]) -> list[AuditRow]:
    return [AuditRow(*row) for row in found]
