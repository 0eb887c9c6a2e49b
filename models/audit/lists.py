"""Audit rows for people: filtered by action, person and time, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from models.audit.log import PAGE_SIZE
from models.query import Page, read_row_page
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
    """since, until: whole days in UTC, both inclusive."""

    action: str | None = None
    person: str | None = None
    since: date | None = None
    until: date | None = None


def list_audit_page(
    session: Session, chosen: AuditFilter, *, page: int = 1, page_size: int = 100
) -> Page[AuditRow]:
    newest = _select(chosen).order_by(Audit.id.desc())
    found = read_row_page(session, newest, page=page, page_size=page_size)
    return found.of([AuditRow(*row) for row in found.items])


def iter_audit(session: Session, chosen: AuditFilter) -> Iterator[AuditRow]:
    """Oldest first, a page in memory at a time."""
    query = _select(chosen).order_by(Audit.id).limit(PAGE_SIZE)
    after = 0
    while page := session.execute(query.where(Audit.id > after)).all():
        yield from (AuditRow(*row) for row in page)
        after = page[-1].id


def audit_actions(session: Session) -> list[str]:
    return list(session.scalars(select(Audit.action).distinct().order_by(Audit.action)))


def _select(chosen: AuditFilter) -> Select[int, datetime, str, str, str, str | None]:
    columns = (Audit.id, Audit.created_at, User.name, Audit.action, Audit.target, Audit.digest)
    rows = select(*columns).outerjoin(User)
    if chosen.action:
        rows = rows.where(Audit.action == chosen.action)
    if chosen.person:
        rows = rows.where(User.name == chosen.person)
    if chosen.since:
        rows = rows.where(Audit.created_at >= datetime.combine(chosen.since, time(), UTC))
    if chosen.until:
        next_day = chosen.until + timedelta(days=1)
        rows = rows.where(Audit.created_at < datetime.combine(next_day, time(), UTC))
    return rows
